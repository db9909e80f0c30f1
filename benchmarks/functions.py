"""The functions that are measured: this project's, and those of `benchmarks/contenders`."""

from benchmarks.runtime import ROOT, Code

_SOURCE = ROOT / "service" / "src"

SERVICE = Code("trading.api.handler", [_SOURCE])

BARE = Code("benchmarks.contenders.bare.handler", [ROOT])
CONNECTING = Code("benchmarks.contenders.connecting.handler", [ROOT])
FASTAPI = Code("benchmarks.contenders.fastapi_peer.handler", [ROOT])
POWERTOOLS = Code("benchmarks.contenders.powertools_peer.handler", [ROOT])
BOTO3_SECRET = Code("benchmarks.contenders.boto3_secret.handler", [ROOT])

"""The measured functions: this project's, and those of `benchmarks/contenders`."""

from benchmarks.runtime import ROOT, Code

_SOURCE = ROOT / "service" / "src"

SERVICE = Code("trading.api.handler", [_SOURCE])
ARCHIVE = Code(
    "archive.handler.handler",
    [_SOURCE],
    {"DATA_BUCKET_NAME": "data", "DATA_KEY_ARN": "arn:aws:kms:us-east-1:000000000000:key/1"},
)

BARE = Code("benchmarks.contenders.bare.handler", [ROOT])
CONNECTING = Code("benchmarks.contenders.connecting.handler", [ROOT])
FASTAPI = Code("benchmarks.contenders.fastapi_peer.handler", [ROOT])
POWERTOOLS = Code("benchmarks.contenders.powertools_peer.handler", [ROOT])
BOTO3_SECRET = Code("benchmarks.contenders.boto3_secret.handler", [ROOT])

"""The certificate authorities that the functions trust.

`python -m service.tools.rds_ca provide FOLDER` adds them to what `sam build` wrote to a folder.

AWS publishes one bundle for all regions:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html
The build accepts only the bundle whose SHA-256 is in `rds-ca.sha256`. When AWS publishes a new one,
`make lock-rds-ca` pins it, and the change is reviewed like any other.

RDS Proxy uses certificates of AWS Certificate Manager, whose authorities are not in that bundle:
 https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.howitworks.html
They come from certifi, which `requirements/` pins.
"""

import argparse
import hashlib
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import certifi

from shared.cli.errors import UserError, exit_code
from shared.naming import REGION_CODES

URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"

_REGIONS = re.compile(rf"Amazon RDS ({'|'.join(REGION_CODES)}) ")
_PROXY = re.compile("Amazon Root CA ")
_FOLDER = Path(__file__).parents[1]
_TIMEOUT_SECONDS = 30


class BundleUnreachable(UserError):
    """AWS's bundle cannot be fetched from here."""


def provide(named: str | None, *, lock: Path, cache: Path, target: Path, url: str = URL) -> None:
    """Write the trusted authorities to `target`: those in the file `named`, or Amazon's.

    Amazon's are those of the platform's regions in the pinned bundle, which is fetched once, and
    those of RDS Proxy. Functions load them at each start: all 108 of the bundle would take 20 ms.

    Raises:
        BundleUnreachable: the pinned bundle cannot be fetched.
        UserError: the named file has no certificates, or what was fetched is not the pinned bundle.
    """
    if named:
        if not certificate_names(Path(named)):
            raise UserError(f"RDS_CA_BUNDLE {named}: there is no such file with PEM certificates")
        content = Path(named).read_bytes()
    else:
        bundle = cache / f"rds-ca-{_pinned(lock)[:16]}.pem"
        if not bundle.is_file():
            _store(bundle, _fetch_pinned(url, _pinned(lock)))
        content = _trusted(bundle, _REGIONS) + _trusted(Path(certifi.where()), _PROXY)
    target.write_bytes(content)


def pin(*, lock: Path, cache: Path, url: str = URL) -> list[str]:
    """Write the SHA-256 of the published bundle to `lock`, and return the authorities' names.

    Raises:
        UserError: it cannot be fetched, or has other authorities than those of Amazon RDS.
    """
    content = _fetch(url)
    file = cache / "rds-ca-new.pem"
    _store(file, content)
    names = certificate_names(file)
    if not names or not all(name.startswith("Amazon RDS ") for name in names):
        raise UserError(f"{url} has other authorities than those of Amazon RDS; see {file}")
    lock.write_text(f"{hashlib.sha256(content).hexdigest()}  global-bundle.pem\n")
    return names


def certificate_names(bundle: Path) -> list[str]:
    """The common names of the authorities in a PEM file; none if there is no such file."""
    return [name for name, _ in _authorities(bundle)]


def _trusted(bundle: Path, names: re.Pattern[str]) -> bytes:
    return "".join(
        ssl.DER_cert_to_PEM_cert(certificate)
        for name, certificate in _authorities(bundle)
        if names.match(name)
    ).encode()


def _authorities(bundle: Path) -> Iterator[tuple[str, bytes]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(bundle)
    except OSError:  # also ssl.SSLError
        return
    for facts, certificate in zip(
        context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True
    ):
        subject: Any = facts["subject"]
        yield dict(pair for part in subject for pair in part).get("commonName", ""), certificate


def _pinned(lock: Path) -> str:
    found = re.match(r"[0-9a-f]{64}\b", lock.read_text())
    if found is None:
        raise UserError(f"{lock} does not begin with a SHA-256: run `make lock-rds-ca`")
    return found.group()


def _fetch_pinned(url: str, checksum: str) -> bytes:
    content = _fetch(url)
    actual = hashlib.sha256(content).hexdigest()
    if actual != checksum:
        raise UserError(
            f"{url} has the SHA-256 {actual}, not the pinned one: if AWS has published a new "
            "bundle, run `make lock-rds-ca` and review the change"
        )
    return content


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise BundleUnreachable(
            f"the RDS CA bundle could not be fetched from {url} ({error}): "
            "fetch it elsewhere and name the file with RDS_CA_BUNDLE=path"
        ) from None
    return content


def _store(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Raises:
        UserError: it failed; the text says what to do.
    """
    parser = argparse.ArgumentParser(prog="python -m service.tools.rds_ca", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lock")
    commands.add_parser("provide").add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    lock, cache = _FOLDER / "rds-ca.sha256", _FOLDER.parent / ".cache"
    if given.command == "lock":
        names = pin(lock=lock, cache=cache)
        print(f"{lock.name}: {len(names)} authorities, " + ", ".join(sorted(set(names))))
    else:
        named = os.environ.get("RDS_CA_BUNDLE")
        targets = [package / "rds-ca.pem" for package in sorted(given.folder.glob("*/trading"))]
        try:
            for target in targets:
                provide(named, lock=lock, cache=cache, target=target)
        except BundleUnreachable as error:
            # Without it, a build can be inspected but not deployed. The sources of an old checkout
            # may include another database's authority.
            for target in targets:
                target.unlink(missing_ok=True)
            print(f"warning: {error}. `make deploy-service` refuses this build", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(exit_code(main))

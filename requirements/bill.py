"""The bill of materials of a half, and a look at the parts that are no Python packages.

    python requirements/bill.py infra|service     prints it (CycloneDX 1.6)
    python requirements/bill.py audit             looks up Node's and Terraform's parts at osv.dev

The half `infra` runs Python packages, the Node packages that CDKTF's wheels bring, Terraform and
its provider. Of the half `service`, this is what its functions run: the packages in their layer.
https://cyclonedx.org/docs/1.6/json/
https://google.github.io/osv.dev/post-v1-query/
"""

import json
import os
import re
import sys
import tarfile
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
_LOCKS = {
    "infra": ("requirements/bootstrap.txt", "requirements/infra.txt"),
    "service": ("service/dependencies/requirements.txt",),
}
# Python packages whose wheels bring Node packages, as archives.
_WITH_NODE = ("cdktf", "cdktf_cdktf_provider_aws", "constructs")
_OSV = "https://api.osv.dev/v1/query"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, order=True)
class Part:
    """A package of an ecosystem, by the name that osv.dev gives the ecosystem."""

    ecosystem: str
    name: str
    version: str
    sha256: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        """Its package URL: https://github.com/package-url/purl-spec."""
        kind = {"PyPI": "pypi", "npm": "npm", "Go": "golang"}[self.ecosystem]
        return f"pkg:{kind}/{quote(self.name)}@{quote(self.version)}"


def parts(half: str) -> list[Part]:
    """All parts of a half, each once."""
    found = set(_python_parts(_LOCKS[half]))
    if half == "infra":
        found |= {*_node_parts(), *_terraform_parts()}
    return sorted(found)


def bill(half: str) -> dict[str, Any]:
    """The bill of materials of a half. It is the same each time, and holds no date."""
    components = [
        {
            "type": "library",
            "bom-ref": part.purl,
            "name": part.name,
            "version": part.version,
            "purl": part.purl,
            # The archives of a version for all systems; one of them is installed.
            **(
                {
                    "externalReferences": [
                        {
                            "type": "distribution",
                            "url": f"https://pypi.org/project/{part.name}/{part.version}/",
                            "hashes": [{"alg": "SHA-256", "content": each} for each in part.sha256],
                        }
                    ]
                }
                if part.sha256
                else {}
            ),
        }
        for part in parts(half)
    ]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": f"trading-platform-{half}"}},
        "components": components,
    }


def vulnerable(found: Iterable[Part], url: str) -> Iterator[str]:
    """What a database knows about parts, a line for each vulnerability.

    Raises:
        URLError: the database does not answer.
    """
    for part in found:
        package = {"name": part.name, "ecosystem": part.ecosystem}
        query = json.dumps({"package": package, "version": part.version}).encode()
        request = urllib.request.Request(url, query, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            for each in json.load(answer).get("vulns", []):
                yield f"{part.name} {part.version}: {each['id']} {each.get('summary', '')}"


def _python_parts(locks: Iterable[str]) -> Iterator[Part]:
    for lock in locks:
        text = (ROOT / lock).read_text().replace("\\\n", " ")
        for name, number, rest in re.findall(r"^([\w.-]+)==(\S+)(.*)$", text, re.MULTILINE):
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)
            yield Part("PyPI", name, number, tuple(sorted(hashes)))


def _node_parts() -> Iterator[Part]:
    """The Node packages in the wheels, and the Node packages that these bring in turn."""
    yield Part("npm", "@jsii/runtime", version("jsii"))
    for package in _WITH_NODE:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            sys.exit(f"error: {package} is not installed: run `make tools`")
        (archive,) = Path(spec.origin).parent.glob("_jsii/*.tgz")
        with tarfile.open(archive) as opened:
            for member in opened:
                own = re.fullmatch(
                    r"package/(.*node_modules/(@[^/]+/)?[^/]+/)?package\.json", member.name
                )
                file = opened.extractfile(member) if own else None
                if file:
                    described = json.load(file)
                    yield Part("npm", described["name"], described["version"])


def _terraform_parts() -> Iterator[Part]:
    script = (ROOT / "local" / "prerequisites.sh").read_text()
    lock = (ROOT / "infra" / "terraform" / "providers.lock.hcl").read_text()
    for name, text, pattern in (
        ("terraform", script, r"^TERRAFORM_VERSION=(\S+)$"),
        ("terraform-provider-aws", lock, r'^  version +\= "([^"]+)"$'),
    ):
        (found,) = re.findall(pattern, text, re.MULTILINE)
        yield Part("Go", f"github.com/hashicorp/{name}", found)


def _audit() -> None:
    found = [part for part in parts("infra") if part.ecosystem != "PyPI"]
    try:
        lines = list(vulnerable(found, os.environ.get("PIP_AUDIT_OSV_URL", _OSV)))
    except (OSError, URLError) as error:
        sys.exit(f"error: Node's and Terraform's parts were not audited: {error}")
    if lines:
        print("\n".join(lines))
        sys.exit("error: vulnerable parts of CDKTF or Terraform: see docs/how-to/upgrade.md")
    print(f"{len(found)} parts of CDKTF and Terraform: no known vulnerabilities")


if __name__ == "__main__":
    if sys.argv[1:] == ["audit"]:
        _audit()
    elif sys.argv[1:] in (["infra"], ["service"]):
        print(json.dumps(bill(sys.argv[1]), indent=2))
    else:
        sys.exit(f"error: {__file__} infra|service|audit")

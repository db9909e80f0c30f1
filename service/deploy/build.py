"""What was built, and the digests that tell one build and one release from another."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from shared.cli.errors import UserError

FOLDER = Path(__file__).parents[1]
TEMPLATE = FOLDER / "template.yaml"
# With these, the function verifies the database: `make build-service` adds them to each package.
_AUTHORITIES = Path("TradeFunction", "trading", "rds-ca.pem")


def built_template(variables: Mapping[str, str]) -> Path:
    """Where `make build-service` writes the template: in the folder `BUILD_DIR`."""
    folder = Path(variables.get("BUILD_DIR") or FOLDER / ".aws-sam").resolve()
    return folder / "build" / "template.yaml"


def check_built(built_template: Path) -> None:
    """Do nothing if the service is built and can be released.

    Raises:
        UserError: it is not built, or its functions could verify no database.
    """
    if not built_template.is_file():
        raise UserError("the service is not built: run `make build-service`")
    if not (built_template.parent / _AUTHORITIES).is_file():
        raise UserError(
            "the build trusts no authority for the database's certificate: build it where AWS's "
            "bundle can be fetched, or name a file with RDS_CA_BUNDLE=path"
        )


def build_digest(built_template: Path) -> str:
    """SHA-256 of the built code and the template, in hexadecimal."""
    digest = hashlib.sha256()
    folder = built_template.parent
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"\0{file.relative_to(folder)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def release_digest(build: str, values: Mapping[str, str]) -> str:
    """SHA-256 of a build's digest and the values of the template's parameters, in hexadecimal.

    CloudFormation publishes a version of a function when this changes. The hash that SAM computes
    leaves out the values of SSM parameters: a database with a new address would reach no version,
    and so no caller.
    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html#sam-function-autopublishcodesha256
    """
    return hashlib.sha256(repr((build, sorted(values.items()))).encode()).hexdigest()

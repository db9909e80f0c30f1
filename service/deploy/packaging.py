"""Puts the code of a build into the artifact bucket, and says exactly which bytes a release has.

SAM names an object after the folder that it was made of, and uploads nothing if there is an object
of that name. Anybody who can write to the bucket could put other bytes there. So a release compares
the objects with the build, and its template names the version of each: S3 never changes a version.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml

from service.deploy.sam import run_sam
from shared.cli.aws import answering
from shared.cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Where the template names the code of a resource.
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-functioncode.html
_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}

# What S3 calls the version of an object in a bucket that keeps none.
_NO_VERSION = "null"


@dataclass(frozen=True)
class Uploaded:
    """A template whose code is in the bucket. `code` has the SHA-256 of each object's content."""

    template: str
    code: Mapping[str, str]


def upload_code(built: Path, *, bucket: str, prefix: str, key: str, region: str) -> Uploaded:
    """Upload the code that the built template names, and pin the versions of the objects.

    Objects that are there already are used if they hold what was built. Otherwise they are uploaded
    again. `key` is the ARN of the KMS key for uploads.

    Raises:
        UserError: SAM failed, AWS does not answer, the bucket keeps no versions, or an object does
            not hold what was built.
    """
    options = (f"--s3-bucket={bucket}", f"--s3-prefix={prefix}", f"--kms-key-id={key}")
    folders = dict(_code(_document(built)))
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        foreign: list[str] = []
        for force in ((), ("--force-upload",)):
            template = _packaged(built, region, *options, *force)
            pinned = {
                name: _pin(s3, location, bucket, built.parent / folders[name])
                for name, location in _code(template)
            }
            foreign = [name for name, pin in pinned.items() if pin is None]
            if not foreign:
                break
            names = ", ".join(foreign)
            print(f"{bucket}: has other code for {names}; uploading it again", flush=True)
    code = {}
    for name, pin in pinned.items():
        if pin is None:
            raise UserError(
                f"{bucket}: the code of {name} is not what was built: somebody else writes to the "
                f"folder {prefix}/; find out who, then deploy again"
            )
        resource = template["Resources"][name]
        resource["Properties"][_CODE[resource["Type"]]] = pin.location
        code[name] = pin.digest
    return Uploaded(yaml.safe_dump(template, sort_keys=False), code)


def check_code(template: str, code: Mapping[str, str], region: str) -> None:
    """Do nothing if the objects that a pinned template names have the digests in `code`.

    Raises:
        UserError: they do not, one is not there any more, or AWS does not answer.
    """
    named = dict(_code(yaml.safe_load(template)))
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        for name, location in named.items():
            try:
                answer = s3.get_object(
                    Bucket=location["Bucket"], Key=location["Key"], VersionId=location["Version"]
                )
            except s3.exceptions.ClientError as error:
                raise UserError(f"the code of {name} cannot be read: {error}") from None
            if hashlib.sha256(answer["Body"].read()).hexdigest() != code.get(name):
                raise UserError(f"the code of {name} is not what was released")


@dataclass(frozen=True)
class _Pin:
    location: Mapping[str, str]
    digest: str


def _pin(s3: S3Client, location: str, bucket: str, folder: Path) -> _Pin | None:
    """The version of an object that holds a folder's files; None if it holds anything else."""
    key = location.removeprefix(f"s3://{bucket}/")
    answer = s3.get_object(Bucket=bucket, Key=key)
    content = answer["Body"].read()
    version = answer.get("VersionId", _NO_VERSION)
    if version == _NO_VERSION:
        raise UserError(f"{bucket} keeps no versions: turn on versioning, then deploy again")
    if not _holds(content, folder):
        return None
    pinned = {"Bucket": bucket, "Key": key, "Version": version}
    return _Pin(pinned, hashlib.sha256(content).hexdigest())


def _holds(archive: bytes, folder: Path) -> bool:
    """Whether a ZIP file has exactly the files of a folder, each once."""
    files = {
        file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()
    }
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = [member.filename for member in opened.infolist() if not member.is_dir()]
            return sorted(names) == sorted(files) and all(
                opened.read(name) == files[name].read_bytes() for name in names
            )
    except zipfile.BadZipFile:
        return False


def _packaged(built: Path, region: str, *options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        output = Path(folder) / "template.json"
        run_sam(
            "package",
            f"--template-file={built}",
            f"--output-template-file={output}",
            f"--region={region}",
            "--use-json",
            *options,
        )
        template: dict[str, Any] = json.loads(output.read_text())
    return template


def _document(template: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(template.read_text())
    return document


def _code(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the template says of the code of each resource that has any, by logical name."""
    for name, resource in template["Resources"].items():
        if resource["Type"] in _CODE:
            yield name, resource["Properties"][_CODE[resource["Type"]]]

"""Scans the synthesized stacks with checkov: `python -m infra.commands.scan [environment file …]`.

It synthesizes each profile and each given file in all `REGIONS`. A finding counts unless the
resource accepts it with a reason (`infra.constructs.resources.accept`). An acceptance that
matches no finding is a finding, too.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.config.environment import load_environment
from infra.config.profiles import PROFILES
from infra.main import synthesize
from shared.cli.errors import UserError, exit_code

# CDKTF writes these in a form of Terraform's JSON that checkov does not read.
_UNREADABLE = ("provider", "terraform")


@dataclass(frozen=True, order=True)
class Finding:
    """A rule of checkov that a resource breaks, or an acceptance that matches no finding."""

    stack: str
    resource: str
    check: str
    text: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Scan all profiles and the environment files given.

    Raises:
        UserError: checkov is missing, or there is a finding.
    """
    files = sys.argv[1:] if arguments is None else arguments
    with tempfile.TemporaryDirectory() as folder:
        stacks = list(_synthesized(Path(folder), files))
        findings = scan(stacks)
    for finding in findings:
        print(f"{finding.stack}: {finding.resource}: {finding.check}: {finding.text}")
    if findings:
        raise UserError(f"checkov: {len(findings)} findings in {len(stacks)} stacks")
    print(f"checkov: no unexplained finding in {len(stacks)} stacks")


def scan(stacks: Sequence[Path]) -> list[Finding]:
    """Run checkov on the `cdk.tf.json` of stacks.

    Return unaccepted findings, and acceptances that match none.

    Raises:
        UserError: checkov is missing or failed.
    """
    checkov = shutil.which("checkov")
    if checkov is None:
        raise UserError("checkov is not on PATH: run `make lint`")
    documents = {f"{number}": json.loads(file.read_text()) for number, file in enumerate(stacks)}
    with tempfile.TemporaryDirectory() as folder:
        for name, document in documents.items():
            readable = {key: body for key, body in document.items() if key not in _UNREADABLE}
            copy = Path(folder) / name / "cdk.tf.json"
            copy.parent.mkdir()
            copy.write_text(json.dumps(readable))
        report = _run(checkov, folder)
    found = {
        (
            check["file_path"].split("/")[1],
            check["resource"].partition(".")[2],
            check["check_id"],
        ): (check["check_name"])
        for check in report["results"]["failed_checks"]
    }
    accepted = {
        (name, resource, check): reason
        for name, document in documents.items()
        for resource, check, reason in _accepted(document)
    }
    texts = {key: found[key] for key in found.keys() - accepted.keys()} | {
        key: f"accepted, but not found: {accepted[key]}" for key in accepted.keys() - found.keys()
    }
    return sorted(
        Finding(stacks[int(name)].parent.name, resource, check, text)
        for (name, resource, check), text in texts.items()
    )


def _synthesized(folder: Path, files: Sequence[str]) -> Iterator[Path]:
    environments = [
        load_environment({**os.environ, "ENVIRONMENT_FILE": file, "ENVIRONMENT_SUFFIX": "scan"})
        for file in files
    ]
    plain = load_environment({**os.environ, "ENVIRONMENT_FILE": "", "ENVIRONMENT_SUFFIX": "scan"})
    environments += [plain.with_profile(profile) for profile in PROFILES]
    for number, environment in enumerate(environments):
        out_dir = folder / str(number)
        synthesize(replace(environment, out_dir=out_dir))
        yield from sorted(out_dir.glob("stacks/*/cdk.tf.json"))


def _run(checkov: str, folder: str) -> Mapping[str, Any]:
    finished = subprocess.run(
        [
            checkov,
            f"--directory={folder}",
            "--framework=terraform_json",
            "--output=json",
            "--quiet",
            "--compact",
            "--soft-fail",
            "--skip-download",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise UserError("checkov failed; its output above says why")
    report: Mapping[str, Any] = json.loads(finished.stdout)
    return report


def _accepted(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for resources in document["resource"].values():
        for name, body in resources.items():
            for check, reason in body["//"].get("checkov", {}).items():
                yield name, check, reason


if __name__ == "__main__":
    sys.exit(exit_code(main))

"""The scan with checkov: the real one, on synthesized stacks."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.commands import scan
from shared.cli.errors import UserError
from tests.support.synthesized import EVERYTHING, variant


def test_no_profile_has_a_finding_that_is_not_accepted_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scan.main([str(EVERYTHING)])
    assert "no unexplained finding in 8 stacks" in capsys.readouterr().out


def test_every_acceptance_gives_a_reason() -> None:
    for resource in variant("everything")["us-east-1"].all_resources().values():
        for reason in resource["//"].get("checkov", {}).values():
            assert len(reason) > 20


def test_new_findings_and_unused_acceptances_are_named_with_their_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bad_stack(_folder: Path, _files: list[str]) -> list[Path]:
        key: dict[str, Any] = {"description": "not rotated", "//": {}}
        vault = {"name": "plain", "kms_key_arn": "arn", "//": {"checkov": {"CKV_AWS_166": "why"}}}
        document = {
            "provider": {"aws": [{"region": "us-east-1"}]},
            "resource": {"aws_kms_key": {"key_1": key}, "aws_backup_vault": {"vault_1": vault}},
        }
        file = tmp_path / "some-stack" / "cdk.tf.json"
        file.parent.mkdir()
        file.write_text(json.dumps(document))
        return [file]

    monkeypatch.setattr(scan, "_synthesized", bad_stack)
    with pytest.raises(UserError, match=r"checkov: \d findings in 1 stacks"):
        scan.main([])
    printed = capsys.readouterr().out
    assert "some-stack: key_1: CKV_AWS_7: " in printed
    assert "some-stack: vault_1: CKV_AWS_166: accepted, but not found: why" in printed


def test_a_missing_checkov_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="make lint"):
        scan.scan([])


def test_a_checkov_that_fails_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "checkov"
    program.write_text("#!/bin/sh\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="checkov failed"):
        scan.scan([])

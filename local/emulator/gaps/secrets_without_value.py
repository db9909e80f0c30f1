"""Secrets without a value.

AWS: such a secret has no version, and GetSecretValue answers ResourceNotFoundException.
ministack: gives it an empty version, and GetSecretValue succeeds without a value.
Here: as on AWS. Remove once ministack creates no empty version.
"""

from __future__ import annotations

from typing import Any

from ministack.services import secretsmanager


def install() -> None:
    """Hide versions without a value from GetSecretValue."""
    original = secretsmanager._find_stage_version

    def find(secret: dict[str, Any], stage: str) -> tuple[str | None, dict[str, Any] | None]:
        version_id, version = original(secret, stage)
        has_value = version and (version.get("SecretString") or version.get("SecretBinary"))
        return (version_id, version) if has_value else (None, None)

    secretsmanager._find_stage_version = find

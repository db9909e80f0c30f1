"""Plans a stack without reading a secret."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.terraform.program import CONFIGURATION, Terraform, read_configuration

_VERSION = "aws_secretsmanager_secret_version"
_EPHEMERAL = "ephemeral."


@contextmanager
def without_secrets(terraform: Terraform, folder: Path) -> Iterator[Path]:
    """An initialized folder, or a copy of it whose plan reads no secret. Apply no plan of a copy.

    The stack of a global database writes its master secret, and reads it for its cluster. Terraform
    opens ephemeral values in each plan, and the provider reads the version of a secret in each
    refresh. The copy has a file for its state, and neither of the two in state or configuration. No
    plan shows their values anyway.
    https://developer.hashicorp.com/terraform/language/block/ephemeral
    https://github.com/hashicorp/terraform-provider-aws/issues/42383

    Raises:
        UserError: Terraform failed; it has said why.
    """
    document = read_configuration(folder)
    if "ephemeral" not in document:
        yield folder
        return
    with TemporaryDirectory(prefix="terraform-plan-") as temporary:
        copy = Path(temporary, folder.name)
        copy.mkdir()
        # Terraform would migrate a state of the usual name, and empty the file.
        state = copy / "pulled.tfstate"
        if pulled := terraform.read(folder, "state", "pull").strip():
            state.write_text(json.dumps(_state_without(json.loads(pulled))))
        own = _configuration_without(document)
        own["terraform"]["backend"] = {"local": {"path": str(state)}}
        (copy / CONFIGURATION).write_text(json.dumps(own))
        terraform.init(copy)
        yield copy


def _state_without(state: Mapping[str, Any]) -> dict[str, Any]:
    kept = [each for each in state["resources"] if each["type"] != _VERSION]
    return {**state, "resources": kept}


def _configuration_without(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = {type_: all_ for type_, all_ in document["resource"].items() if type_ != _VERSION}
    rest = {name: part for name, part in document.items() if name != "ephemeral"}
    found: dict[str, Any] = _without_values({**rest, "resource": kept})
    return found


def _without_values(part: Any) -> Any:
    """A part of a configuration with a word in place of each ephemeral value."""
    match part:
        case dict():
            return {name: _without_values(value) for name, value in part.items()}
        case list():
            return [_without_values(value) for value in part]
        case str() if _EPHEMERAL in part:
            return "not read"
    return part

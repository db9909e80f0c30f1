"""The values that the data platform has published for an environment."""

from collections.abc import Mapping

from shared.errors import UserError
from shared.published import read_published


def deployed_values(names: Mapping[str, str], region: str, environment: str) -> dict[str, str]:
    """The value of each SSM parameter in `names`, by the same key.

    Raises:
        UserError: a value is not deployed, or AWS (or the emulator) does not answer.
    """
    found = read_published(names.values(), region)
    missing = [path for path in names.values() if path not in found]
    if missing:
        raise UserError(
            f"there is no data platform for the environment {environment} in {region} "
            f"({missing[0]} is not there): run `make deploy-infra` first"
        )
    return {key: found[path].value for key, path in names.items()}

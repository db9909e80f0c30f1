"""The values that the data platform has published for an environment."""

from collections.abc import Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import UserError

_SSM_BATCH = 10  # the most names that GetParameters takes


def deployed_values(names: Mapping[str, str], region: str, environment: str) -> dict[str, str]:
    """The value of each SSM parameter in `names`, by the same key.

    Raises:
        UserError: a value is not deployed, or AWS (or the emulator) does not answer.
    """
    paths = list(names.values())
    values: dict[str, str] = {}
    try:
        ssm = boto3.client("ssm", region_name=region)
        for start in range(0, len(paths), _SSM_BATCH):
            answer = ssm.get_parameters(Names=paths[start : start + _SSM_BATCH])
            values |= {found["Name"]: found["Value"] for found in answer["Parameters"]}
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"SSM Parameter Store in {region} does not answer: {error}") from None
    missing = [path for path in paths if path not in values]
    if missing:
        raise UserError(
            f"there is no data platform for the environment {environment} in {region} "
            f"({missing[0]} is not there): run `make deploy-infra` first"
        )
    return {key: values[path] for key, path in names.items()}

"""The values that the platform publishes for the services."""

import re
from collections.abc import Mapping

from constructs import Construct

from infra.bindings import SsmParameter, TerraformOutput
from infra.constructs.resources import accept
from shared.contract import Contract


class Publication(Construct):
    """One SSM parameter for each parameter of the contract, no more and no fewer."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        contract: Contract,
        environment: str,
        values: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        promised = {parameter.logical_name for parameter in contract.parameters}
        if promised != set(values):
            raise ValueError(f"contract and stack differ in {sorted(promised ^ set(values))}")
        for parameter in contract.parameters:
            published = SsmParameter(
                self,
                parameter.logical_name,
                name=contract.path(parameter, environment),
                type=parameter.ssm_type,
                description=parameter.description,
                value=values[parameter.logical_name],
            )
            accept(
                published,
                "CKV2_AWS_34",
                "names and addresses, no secret; CloudFormation reads no encrypted parameter",
            )


def snake_case(logical_name: str) -> str:
    """A contract parameter's name as Terraform outputs are named: `VpcId` is `vpc_id`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_name).lower()


def stack_outputs(scope: Construct, outputs: Mapping[str, str]) -> None:
    """Give a stack Terraform outputs under exactly these names."""
    for name, value in outputs.items():
        TerraformOutput(scope, name, value=value).override_logical_id(name)

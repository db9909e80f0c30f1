"""The values that the platform publishes for the services."""

from collections.abc import Mapping

from constructs import Construct

from infra.constructs.resources import accept
from infra.provider.bindings import Fn, SsmParameter, TerraformOutput
from shared.contract.loader import CHECKSUM_TAG, VERSION_NAME, Contract


class Publication(Construct):
    """One SSM parameter for each parameter of the contract, no more and no fewer, and its version.

    Two major versions can be published side by side, each by its own publication.
    """

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
        published = [
            SsmParameter(
                self,
                parameter.logical_name,
                name=contract.path(parameter, environment),
                type=parameter.ssm_type,
                description=parameter.description,
                value=values[parameter.logical_name],
                tags={CHECKSUM_TAG: Fn.sha256(values[parameter.logical_name])},
            )
            for parameter in contract.parameters
        ]
        # Written last: once a version can be read, the values that it promises exist.
        version = SsmParameter(
            self,
            VERSION_NAME,
            name=contract.version_path(environment),
            type="String",
            description="The version of shared/contract.toml that is published here.",
            value=str(contract.version),
            depends_on=published,
        )
        for each in (*published, version):
            accept(
                each,
                "CKV2_AWS_34",
                "names and addresses, no secret; CloudFormation reads no encrypted parameter",
            )


def stack_outputs(scope: Construct, outputs: Mapping[str, str]) -> None:
    """Give a stack Terraform outputs under exactly these names."""
    for name, value in outputs.items():
        TerraformOutput(scope, name, value=value).override_logical_id(name)

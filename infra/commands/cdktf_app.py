"""The app that CDKTF's own program runs: `cdktf deploy '*'` applies exactly its stacks.

That program bypasses `infra.commands`, so nothing judges its plan. This module refuses what can be
seen before there is a plan: an edit that would replace what is deployed, and a missing state.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping

import boto3

from infra.commands.running import with_what_runs
from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.naming import resource_name, state_key
from infra.config.regions import RegionConfig
from infra.gate.obstacles import CLUSTER_WAYS, GLOBAL_WAY, NETWORK_WAY
from infra.main import synthesize
from infra.terraform.backend import backend_settings, stack_folder
from infra.terraform.program import CONFIGURATION, read_configuration
from shared.cli.aws import AWS_ERRORS, BRIEFLY
from shared.cli.errors import UserError, exit_code
from shared.contract.loader import load_contract
from shared.contract.published import read_published
from shared.naming import stack_name


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Synthesize the data platforms, without the state buckets, which outlive them.

    Without access to AWS, it synthesizes them unchecked.

    Raises:
        UserError: an edit would replace a database or a network that is deployed, or a state is
            missing although the platform is deployed.
    """
    environment = load_environment(variables)
    try:
        found = [each for region in environment.regions for each in _conflicts(environment, region)]
    except AWS_ERRORS as error:
        print(f"note: not compared with what is deployed: {error}", file=sys.stderr)
        synthesize(environment, states=False)
        return
    if found:
        raise UserError("; ".join(found))
    environment = with_what_runs(environment)
    synthesize(environment, states=False)
    if environment.remote_state:
        for region in environment.regions:
            _complete_backend(environment, region.region)


def _conflicts(environment: EnvironmentConfig, region: RegionConfig) -> Iterator[str]:
    """Edits that would replace the region's database or network, and what to do instead."""
    stack = stack_name(region.region, environment.suffix)
    database = environment.settings.database
    # `cdktf synth` works without AWS, and must not wait for it.
    rds = boto3.client("rds", region_name=region.region, config=BRIEFLY)
    name = resource_name("cluster", region.region, environment.suffix)
    try:
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    except rds.exceptions.DBClusterNotFoundFault:
        return
    asked = {"DatabaseName": database.name, "MasterUsername": database.master_username}
    for key, way in zip(asked, CLUSTER_WAYS.values(), strict=True):
        # A secondary cluster of a global database has no names of its own.
        if cluster.get(key, asked[key]) != asked[key]:
            yield f"{stack}: {way}"
    members = [
        member["DBClusterArn"]
        for found in rds.describe_global_clusters()["GlobalClusters"]
        for member in found["GlobalClusterMembers"]
    ]
    if bool(database.global_regions) != (cluster["DBClusterArn"] in members):
        yield f"{stack}: {GLOBAL_WAY}"
    ec2 = boto3.client("ec2", region_name=region.region, config=BRIEFLY)
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Stack", "Values": [stack]}])["Vpcs"]
    if any(vpc["CidrBlock"] != str(region.network) for vpc in vpcs):
        yield f"{stack}: {NETWORK_WAY}"
    path = load_contract().version_path(environment.suffix)
    if path in read_published([path], region.region) and not _has_state(environment, region.region):
        yield (
            f"{stack}: it is deployed, but there is no state of it: is STATE wrong, or is "
            "the state lost? See docs/runbooks/stuck-lock.md"
        )


def _has_state(environment: EnvironmentConfig, region: str) -> bool:
    name = stack_name(region, environment.suffix)
    if not environment.remote_state:
        return environment.local_state_file(name).exists()
    s3 = boto3.client("s3", region_name=region)
    bucket = backend_settings(region)["bucket"]
    return "Contents" in s3.list_objects_v2(Bucket=bucket, Prefix=state_key(name))


def _complete_backend(environment: EnvironmentConfig, region: str) -> None:
    """Write the backend settings that depend on the account into a stack: Terraform gets no others.

    Where there is no state bucket yet, the stack stays as it is.
    """
    try:
        settings = backend_settings(region)
    except UserError as error:
        print(f"note: {error}", file=sys.stderr)
        return
    folder = stack_folder(environment, region)
    document = read_configuration(folder)
    document["terraform"]["backend"]["s3"].update(settings)
    (folder / CONFIGURATION).write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    sys.exit(exit_code(main))

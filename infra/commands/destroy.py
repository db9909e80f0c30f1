"""Destroys the data platform, once nothing uses it and nothing protects it."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.commands.holdings import holdings
from infra.commands.kept_keys import keys_kept
from infra.commands.planning import initialized, run_explained
from infra.commands.preflight import check_destroy
from infra.commands.vaults import kept_vaults
from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.naming import resource_name
from infra.terraform.program import Terraform, installed_terraform
from shared.cli.confirm import confirm
from shared.cli.errors import exit_code
from shared.cli.in_regions import parallel_limit

_DESTROYED = re.compile("Destroy complete!")


def main() -> None:
    """Check what is deployed in all regions, ask on a terminal, and destroy.

    Raises:
        UserError: the platform is in use or protected, or Terraform or AWS failed.
    """
    environment = load_environment(os.environ)
    with installed_terraform(os.environ) as terraform:
        environment.check_destroyable()
        check_destroy(environment)
        folders = initialized(environment, terraform)
        for region, folder in folders.items():
            cluster = resource_name("cluster", region, environment.suffix)
            if held := holdings(cluster, region, environment.suffix):
                print(f"==> {folder.name}: {held}", flush=True)
        for kept in kept_vaults(environment):
            print(f"warning: {kept}", flush=True)
        if sys.stdin.isatty():
            names = ", ".join(folder.name for folder in folders.values())
            confirm(f"Destroy {names}, with all trades?")
        with keys_kept(environment):
            _destroy(environment, terraform, folders)


def _destroy(
    environment: EnvironmentConfig, terraform: Terraform, folders: Mapping[str, Path]
) -> None:
    if len(folders) == 1:
        (folder,) = folders.values()
        print(f"==> {folder.name}: terraform destroy", flush=True)
        terraform.run(folder, "destroy")
        return
    # A member of a global database leaves it before the database is destroyed.
    waves = [
        [terraform.in_region(region.region, folders[region.region], "destroy") for region in wave]
        for wave in reversed(environment.waves())
    ]
    run_explained(waves, "destroy", _DESTROYED, parallel_limit(os.environ))


if __name__ == "__main__":
    sys.exit(exit_code(main))

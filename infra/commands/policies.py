"""Prints the IAM policies of the environment for the account of the credentials."""

import json
import os
import sys

from infra.config.environment import load_environment
from infra.config.place import Place
from infra.policies.catalogue import POLICIES
from infra.terraform.backend import account_id
from shared.cli.errors import exit_code


def main() -> None:
    """Print the policies of each region of the environment, as one JSON document by name.

    Raises:
        UserError: there are no credentials for AWS.
    """
    environment = load_environment(os.environ)
    documents = {}
    for region in environment.regions:
        place = Place(account_id(region.region), region.region, environment.suffix)
        for role, document in POLICIES.items():
            documents[place.name("policy", role)] = document(place)
    print(json.dumps(documents, indent=2))


if __name__ == "__main__":
    sys.exit(exit_code(main))

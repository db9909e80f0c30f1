"""Managed master passwords of existing clusters.

AWS: ModifyDBCluster with ManageMasterUserPassword creates a secret with a new password.
ministack: creates the secret only together with the cluster.
Here: as on AWS. Remove once ministack does the same.
"""

from __future__ import annotations

import json

from ministack.core.responses import new_uuid
from ministack.services import rds, secretsmanager

from local.emulator.rds_actions import Parameters, Record, after_cluster, value


def install() -> None:
    """Create the secret. The next hook sets the password in the database."""
    after_cluster("ModifyDBCluster", _manage)


def _manage(parameters: Parameters, cluster: Record) -> None:
    if value(parameters, "ManageMasterUserPassword") != "true" or cluster["MasterUserSecret"]:
        return
    password = rds._generate_master_user_password()
    secret = {"username": cluster["MasterUsername"], "password": password}
    cluster["_MasterUserPassword"] = password
    cluster["MasterUserSecret"] = {
        "SecretArn": secretsmanager.create_secret_in_process(
            f"rds!cluster-{new_uuid()}",
            json.dumps(secret),
            description=f"Secret managed by RDS for DB cluster {cluster['DBClusterIdentifier']}",
        ),
        "SecretStatus": "active",
        "KmsKeyId": value(parameters, "MasterUserSecretKmsKeyId"),
    }

"""Mistakes that end in a refusal, each with the line that it must end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The environments: one of each profile, the standard one with the service, and one without guards
# that has all that can be lost.
DEV, STANDARD, GUARDED, OPEN = "dev", "standard", "guarded", "open"
DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    DEV: {"profile": "dev"},
    STANDARD: {"profile": "standard"},
    GUARDED: {"profile": "production"},
    OPEN: {
        "network": {"zones": ["a", "b", "c"]},
        "storage": {"access_logging": True},
        "database": {"readers": 1},
        "backup": {"plan": True, "cross_region_copy": True},
    },
}
# The deployed environment of each profile.
DEPLOYED = {"dev": DEV, "standard": STANDARD, "production": GUARDED}

LOSES = r"error: this plan loses data; nothing was applied\. .*ALLOW_LOSS="
CANNOT = r"error: \S+: this plan cannot work; nothing was applied"
UNSEEN = r"error: \S+: without a terminal, only a reviewed plan may lose or interrupt"
# Stands for a folder of the environment in the values of variables.
FOLDER = "{folder}"
SERVICE = "service.deploy.commands"


@dataclass(frozen=True)
class Mistake:
    """A command with edited keys and variables.

    `says` is a pattern of its output, and `ends` one of the start of its last line.
    """

    name: str
    says: str
    ends: str
    environment: str = OPEN
    edits: Mapping[str, Any] = field(default_factory=dict)
    command: str = "deploy"
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    # One of the small set, which every run of the tests makes.
    small: bool = False

    def __str__(self) -> str:
        return f"{self.environment}: {self.name}"


def edit(
    key: str, value: Any, says: str, ends: str, environment: str = OPEN, *, small: bool = False
) -> Mistake:
    """The mistake of deploying with one other value in the environment's file."""
    return Mistake(f"{key} = {value!r}", says, ends, environment, {key: value}, small=small)


_EDITS = (
    edit("database.name", "ledger", "another database.name", CANNOT, STANDARD, small=True),
    edit("database.master_username", "boss", "another database.master_username", CANNOT),
    edit("regions.us-east-1.cidr", "10.99.0.0/16", "another cidr", CANNOT, STANDARD),
    edit(
        "database.global_regions",
        ["us-east-1", "us-west-2"],
        "joins or leaves a global database only as a new one",
        CANNOT,
        STANDARD,
    ),
    edit("database.engine_version", "8.0.mysql_aurora.3.09.0", "it runs .* and stays", "", DEV),
    edit("network.zones", ["b", "c"], "an instance of the database runs in us-east-1a", CANNOT),
    edit("backup.plan", None, "remove it, because it needs plan = true", "error: "),
    edit("backup", {"plan": False}, "loses: aws_backup_vault.*: the recovery points", LOSES),
    edit("backup.cross_region_copy", False, "loses: aws_backup_vault|no longer names", "error: "),
    edit("regions.us-east-1.backup_region", "us-east-2", "keep backup_region at", CANNOT),
    edit("storage.access_logging", False, "loses: aws_s3_bucket.access-logs", LOSES),
    edit("storage.expiration_days", 30, "the objects that are older than 30 days", LOSES),
    edit("storage.noncurrent_days", 1, "replaced versions of objects that are older", LOSES),
    edit(
        "database.backup_retention_days",
        1,
        "the backups that are older than 1 days",
        LOSES,
        STANDARD,
        small=True,
    ),
    edit("observability.log_retention_days", 1, "the logs that are older than 1 days", LOSES),
    edit("database.instance_class", "db.r5.xlarge", "in the maintenance window", UNSEEN),
    edit("database.serverless", True, "instance_class becomes db.serverless", UNSEEN),
    edit("database.readers", 0, "connections to this instance end", UNSEEN, STANDARD, small=True),
    edit("network.zones", ["a", "b"], "interrupts: aws_subnet", UNSEEN),
    edit("network.nat", "per-az", "connections over this route end", UNSEEN, STANDARD),
    edit("profile", "dev", "the logs that|the backups that", LOSES, STANDARD),
    edit("backup", {"plan": False}, "deployed with protection|guards it", "error: ", GUARDED),
    edit("storage.access_logging", False, "deployed with protection", CANNOT, GUARDED),
    edit("backup.cross_region_copy", False, "guards it|with protection", "error: ", GUARDED),
    edit("profile", "dev", "deployed with protection", CANNOT, GUARDED),
    edit("profile", "standard", "deployed with protection", CANNOT, GUARDED),
    edit("database.name", "ledger", "prevent_destroy guards it", "error: .* cannot work", GUARDED),
    edit("regions.us-east-1.cidr", "10.99.0.0/16", "cannot work|guards it", "error: ", GUARDED),
    edit("protection.prevent_destroy", False, "its protection ends", UNSEEN, GUARDED),
    edit("database.readers", 0, "connections to this instance end", UNSEEN, GUARDED),
)
_MALFORMED = (
    edit("database.nmae", "x", r"database.nmae: .* did you mean name\?", "error: "),
    edit("databse.name", "x", r"databse: .* did you mean database\?", "error: "),
    edit("database.readers", "two", "readers 'two': use a whole number from 0", "error: "),
    edit("database.readers", 16, "readers 16: use a whole number from 0 to 15", "error: "),
    edit("database", "big", "database 'big': make it a section", "error: "),
    edit("database.name", "select", "MySQL reserves it", "error: "),
    edit("database.engine_version", "5.7", "engine_version '5.7': use one of", "error: "),
    edit("database.backup_window", "8pm", "as in 07:00-08:00", "error: "),
    edit("database.backup_window", "08:00-09:00", "it overlaps maintenance_window", "error: "),
    edit("database.min_capacity", 2, "remove it, because it needs serverless = true", "error: "),
    edit("profile", "prod", "use one of dev, standard, production", "error: "),
    edit("network.zones", ["a"], "list at least 2 distinct zones", "error: "),
    edit("network.nat", "none", "needs interface_endpoints = true", "error: "),
    edit("regions.eu-west-1.cidr", "10.1.0.0/16", "there is no such region", "error: "),
    edit("regions.us-east-1.cidr", "8.8.0.0/16", "use a /16 of 10.0.0.0/8", "error: "),
    edit("protection.recovery_days", 3, "use 0, or from 7 to 30", "error: "),
)
_VARIABLES = (
    Mistake("STATE=disk", "use s3", "error: STATE", variables={"STATE": "disk"}),
    Mistake("no such region", "name one or more", "error: REGIONS", variables={"REGIONS": "mars"}),
    Mistake(
        "a region twice",
        "twice|once",
        "error: REGIONS",
        variables={"REGIONS": "us-east-1,us-east-1"},
    ),
    Mistake(
        "PARALLEL=many", "use a whole number", "error: PARALLEL", variables={"PARALLEL": "many"}
    ),
    Mistake(
        "a name in capitals",
        "ENVIRONMENT_SUFFIX 'Open'",
        "error: ",
        variables={"ENVIRONMENT_SUFFIX": "Open"},
    ),
    Mistake(
        "production without a file",
        "it sounds like production but has no file",
        "error: ",
        variables={"ENVIRONMENT_SUFFIX": "prod", "ENVIRONMENT_FILE": ""},
    ),
    Mistake(
        "a file that is not there",
        "there is no such file",
        "error: ENVIRONMENT_FILE",
        variables={"ENVIRONMENT_FILE": f"{FOLDER}/none.toml"},
    ),
    Mistake(
        "a folder as the file",
        "it is a folder; name a TOML file",
        "error: ",
        variables={"ENVIRONMENT_FILE": FOLDER},
    ),
    Mistake(
        "a file for a folder",
        "it is a file; name a folder",
        "error: CDKTF_OUTDIR",
        variables={"CDKTF_OUTDIR": f"{FOLDER}/environment.toml"},
    ),
    Mistake(
        "no credentials",
        "credentials for AWS are needed",
        "error: ",
        variables={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
    ),
    Mistake(
        "AWS that does not answer",
        "does not answer",
        "error: ",
        variables={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
    ),
    Mistake(
        "a mirror that is none",
        "there is no folder",
        "error: TF_PLUGIN_MIRROR",
        variables={"TF_PLUGIN_MIRROR": FOLDER},
    ),
    Mistake(
        "the state of nobody",
        "a deploy would build a second platform",
        "error: the state of",
        STANDARD,
        variables={"STATE_DIR": f"{FOLDER}/nowhere"},
    ),
    Mistake(
        "the state in the bucket, which has none",
        "there is no state bucket|a second platform",
        "error: ",
        command="plan",
        variables={"STATE": "s3"},
    ),
    Mistake(
        "a loss that is allowed for another environment",
        "ALLOW_LOSS",
        LOSES,
        edits={"storage.access_logging": False},
        variables={"ALLOW_LOSS": "trading-platform-useast1-dev: aws_s3_bucket.access-logs"},
    ),
    Mistake(
        "a loss that is allowed without a name",
        "write <stack>: <address>",
        "error: ALLOW_LOSS",
        variables={"ALLOW_LOSS": "yes"},
    ),
    Mistake(
        "a cluster that is allowed to go, without a review",
        "another database.name",
        CANNOT,
        edits={"database.name": "ledger"},
        variables={"ALLOW_LOSS": "trading-platform-useast1-open: aws_rds_cluster.database"},
    ),
    Mistake(
        "a plan that nobody saved",
        "there is no plan of",
        "error: PLAN",
        variables={"PLAN": f"{FOLDER}/nowhere"},
    ),
    Mistake(
        "an output that does not exist",
        "there is no such output",
        "error: NAME",
        command="outputs",
        variables={"NAME": "api_url"},
    ),
)
_ORDER = (
    Mistake(
        "destroy before the service",
        "uses this data platform: run `make destroy-service` first",
        "error: ",
        STANDARD,
        command="destroy",
        small=True,
    ),
    Mistake("destroy", "is protected from being destroyed", "error: ", GUARDED, command="destroy"),
    Mistake(
        "destroy with the protection lifted in the file alone",
        "deployed with deletion protection; nothing was destroyed",
        "error: ",
        GUARDED,
        {"protection.prevent_destroy": False},
        "destroy",
    ),
    Mistake(
        "destroy as another profile",
        "deployed with deletion protection; nothing was destroyed",
        "error: ",
        GUARDED,
        {"profile": "dev"},
        "destroy",
    ),
    Mistake(
        "unlock without a lock",
        "name the lock and its region",
        "error: ",
        command="remote_state",
        arguments=("unlock",),
    ),
    Mistake(
        "migrate a state that is not there",
        "there is no such local state",
        "error: ",
        command="remote_state",
        arguments=("migrate",),
        variables={"STATE_DIR": f"{FOLDER}/nowhere"},
    ),
    Mistake(
        "a release before the platform",
        "make deploy-infra",
        "error: ",
        STANDARD,
        command=SERVICE,
        arguments=("deploy",),
        variables={"ENVIRONMENT_SUFFIX": "nothing"},
    ),
    Mistake(
        "a rollback before the first release",
        "is not deployed|make deploy-service",
        "error: ",
        command=SERVICE,
        arguments=("rollback",),
    ),
)


def _service(name: str, says: str, ends: str, command: str = "deploy", **variables: str) -> Mistake:
    return Mistake(
        name, says, ends, STANDARD, command=SERVICE, arguments=(command,), variables=variables
    )


_SERVICE = (
    _service("TO a release that is not there", "TO|no release", "error: ", "rollback", TO="999"),
    _service("TO a word", "TO|no release", "error: ", "rollback", TO="yesterday"),
    _service(
        "TO in two regions",
        "each region counts its own versions",
        "error: TO",
        "rollback",
        TO="1",
        REGIONS="us-east-1,us-west-2",
    ),
    _service(
        "a parameter that the template does not have",
        "Colour",
        "error: SERVICE_PARAMETERS",
        SERVICE_PARAMETERS="Colour=blue",
    ),
    _service(
        "a parameter without a value",
        "has no value; write Name=value",
        "error: SERVICE_PARAMETERS",
        SERVICE_PARAMETERS="LogRetentionDays",
    ),
    _service(
        "a quotation mark too few", "closing", "error: SERVICE_PARAMETERS", SERVICE_PARAMETERS='A="'
    ),
    _service(
        "a value that the template does not allow",
        "LogRetentionDays '2': use one of",
        "error: SERVICE_PARAMETERS",
        SERVICE_PARAMETERS="ApiAuthorization=NONE LogRetentionDays=2",
    ),
    _service(
        "the environment as a parameter",
        "EnvironmentSuffix",
        "error: SERVICE_PARAMETERS",
        SERVICE_PARAMETERS="EnvironmentSuffix=guarded",
    ),
    _service("a stage in capitals", "SERVICE_STAGE", "error: ", SERVICE_STAGE="PR 1"),
    _service(
        "remove a preview that is not there",
        "there is no preview pr-9 of",
        "error: ",
        "delete",
        SERVICE_STAGE="pr-9",
    ),
    _service(
        "release where only one region is deployed",
        "us-west-2",
        "error: ",
        REGIONS="us-east-1,us-west-2",
    ),
    _service(
        "an event that is not there", "there is no such file", "error: EVENT", "invoke", EVENT="no"
    ),
)
MISTAKES = (*_EDITS, *_MALFORMED, *_VARIABLES, *_ORDER, *_SERVICE)

"""Edits of an environment's file, for each key and each kind of change, and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.commands.approval import check
from infra.commands.planning import plan_stacks, plans_folder
from infra.commands.running import with_what_runs
from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from infra.terraform.backend import stack_folder
from infra.terraform.program import installed_terraform
from local.platform import enter_environment
from shared.cli.errors import UserError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "edit-matrix.md"
UNCHANGED = "no changes"
PROFILES = ("dev", "standard", "production")

# For each key, the values that it is changed to.
EDITS: Mapping[str, Sequence[Any]] = {
    "profile": ("dev", "standard", "production"),
    "network.zones": (["a", "b", "c"], ["b", "c"]),
    "network.nat": ("single", "per-az"),
    "network.interface_endpoints": (True,),
    "storage.expiration_days": (30, 180),
    "storage.noncurrent_days": (7, 60),
    "storage.access_logging": (True, False),
    "database.engine_version": ("8.0.mysql_aurora.3.09.0", "8.0.mysql_aurora.3.10.1"),
    "database.serverless": (True, False),
    "database.instance_class": ("db.r5.xlarge", "db.r6g.large"),
    "database.min_capacity": (1,),
    "database.max_capacity": (2, 16),
    "database.auto_pause_seconds": (600,),
    "database.readers": (0, 1, 3),
    "database.proxy": (True,),
    "database.connection_share_percent": (50,),
    "database.backup_retention_days": (1, 14, 35),
    "database.backup_window": ("05:00-06:00",),
    "database.maintenance_window": ("sat:02:00-sat:03:00",),
    "database.performance_insights": (True, False),
    "database.enhanced_monitoring_seconds": (0, 15),
    "database.global_regions": (["us-east-1", "us-west-2"],),
    "database.master_password_version": (2,),
    "database.name": ("ledger",),
    "database.master_username": ("boss",),
    "backup.plan": (True, False),
    "backup.retention_days": (7, 70),
    "backup.cross_region_copy": (True, False),
    "observability.alarm_email": ("ops@example.com",),
    "observability.log_retention_days": (1, 731),
    "protection.prevent_destroy": (True, False),
    "protection.final_snapshot": (True, False),
    "protection.recovery_days": (0, 7),
    "regions.us-east-1.cidr": ("10.99.0.0/16",),
    "regions.us-east-1.backup_region": ("us-east-2",),
}

_HEAD = """# What an edit of an environment's file does

`make test-mistakes` plans each of these edits with Terraform against a deployed environment of each
profile, and compares this table with the verdicts. It also applies each edit that a deploy applies,
and then the file as it was before, which leads back from each of them. `make plan` gives the
verdict on your own edit, with the reasons.

| Word | Meaning | `make deploy-infra` |
|---|---|---|
| no changes | the environment has that value, or the key has no effect there | does nothing |
| nothing lost | resources are added or changed in place | applies it |
| interrupts | connections or a protection end, an instance restarts | asks for a review |
| loses | data goes for good | refuses it unless `ALLOW_LOSS` names it |
| cannot work | it would fail halfway, or protection forbids it | refuses it; says what works |
| refused | the file is not valid | refuses it before Terraform starts |

"""


def page(verdicts: Mapping[tuple[str, str], str]) -> str:
    """The page, from the verdict on each edit (`key = value`) of each profile."""
    rows = [f"| Edit | {' | '.join(PROFILES)} |", f"|---|{'---|' * len(PROFILES)}"]
    for edit in dict.fromkeys(edit for edit, _ in verdicts):
        cells = " | ".join(verdicts[edit, profile] for profile in PROFILES)
        rows.append(f"| `{edit}` | {cells} |")
    return _HEAD + "\n".join(rows) + "\n"


def written() -> dict[tuple[str, str], str]:
    """The verdicts on the page, by edit (`key = value`) and profile."""
    lines = PAGE.read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {
        (edit.strip("`"), profile): word
        for edit, *words in rows
        for profile, word in zip(PROFILES, words, strict=True)
    }


def verdict(variables: Mapping[str, str], document: str, deployed: str) -> str:
    """The verdict on a deploy with the text `document` as the environment's file.

    `deployed` is the JSON of the deployed file: the same one has no changes.

    Raises:
        UserError: the plan has failed, and not because something must not happen.
    """
    Path(variables["ENVIRONMENT_FILE"]).write_text(document)
    try:
        environment = load_environment(variables)
    except UserError:
        return "refused"
    environment = with_what_runs(environment)
    if synthesized(environment) == deployed:
        return UNCHANGED
    with installed_terraform(variables) as terraform, plans_folder("") as plans:
        try:
            (stack,) = plan_stacks(environment, terraform, plans, "-refresh=false", parallel=1)
        except UserError as error:
            if "cannot work" not in str(error):
                raise
            return "cannot work"
    if not stack.changes:
        return UNCHANGED
    if stack.verdict.word in ("loses", "cannot work"):
        try:
            check([stack], frozenset())
        except UserError:
            return stack.verdict.word
        raise AssertionError("it was not refused")
    return stack.verdict.word


def synthesized(environment: EnvironmentConfig) -> str:
    """The Terraform JSON of the environment's one stack."""
    synthesize(environment)
    (region,) = environment.regions
    return (stack_folder(environment, region.region) / "cdk.tf.json").read_text()


def column(variables: Mapping[str, str], documents: Sequence[str]) -> list[str]:
    """The verdicts on files for a deployed environment; the first file is what is deployed.

    It runs in a process of its own, which becomes the operator's.
    """
    enter_environment(variables)
    deployed, *edits = documents
    Path(variables["ENVIRONMENT_FILE"]).write_text(deployed)
    kept = synthesized(with_what_runs(load_environment(variables)))
    return [verdict(variables, document, kept) for document in edits]

"""Names that both halves must agree on: environments, regions and stacks."""

import re

from shared.cli.errors import UserError
from shared.regions import REGIONS

PLATFORM = "trading-platform"
# What the service counts in CloudWatch: the namespace, the metric, and its dimension `service`.
METRICS, TRADES_BOOKED, TRADE_SERVICE = "TradingPlatform", "TradesAccepted", "trade"

REGION_CODES = {name: region.code for name, region in REGIONS.items()}

# The data bucket's name has the tightest limit: 63 characters, which leaves 20 for the suffix (see
# `infra/config/naming.py`). RDS identifiers allow neither two hyphens in a row nor one at the end.
ENVIRONMENT_SUFFIX_MAX = 20
# Stages have the same form. The smoke check's function has the tightest limit: with the longest
# suffix and stage, its name has 63 of 64 characters (see `service/template.yaml`).
SERVICE_STAGE_MAX = 20
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

# Separates the environment from the stage in a preview's name. Neither can contain two hyphens in a
# row, so no preview has the name of another environment's preview or service.
PREVIEW_MARK = "--"


def check_environment_suffix(suffix: str) -> str:
    """Return `suffix` if it can name an environment.

    Raises:
        UserError: it is empty, too long, or has characters that AWS does not allow in some name.
    """
    return _checked("ENVIRONMENT_SUFFIX", suffix, ENVIRONMENT_SUFFIX_MAX)


def check_service_stage(stage: str) -> str:
    """Return `stage` if it can name a preview, or is empty (the environment's own service).

    Raises:
        UserError: it is too long, or has characters that AWS does not allow in some name.
    """
    return _checked("SERVICE_STAGE", stage, SERVICE_STAGE_MAX) if stage else ""


def check_regions(regions: str) -> tuple[str, ...]:
    """Return the regions of a comma-separated list, in its order.

    Raises:
        UserError: the list is empty, or has an unknown region or one region twice.
    """
    names = tuple(name.strip() for name in regions.split(",") if name.strip())
    unknown = [name for name in names if name not in REGION_CODES]
    if unknown or not names:
        raise UserError(
            f"REGIONS {regions!r}: name one or more of {', '.join(REGION_CODES)}, "
            "separated by commas"
        )
    if len(set(names)) < len(names):
        raise UserError(f"REGIONS {regions!r}: name each region once")
    return names


def stack_name(region: str, environment: str) -> str:
    """The data platform's stack in a region, such as `trading-platform-useast1-dev`."""
    return f"{PLATFORM}-{REGION_CODES[region]}-{environment}"


def service_stack_name(region: str, environment: str, stage: str = "") -> str:
    """The service's CloudFormation stack, such as `trading-platform-service-useast1-dev`.

    A preview's stack ends with its stage: `trading-platform-service-useast1-dev--pr-42`.
    """
    own = f"{PLATFORM}-service-{REGION_CODES[region]}-{environment}"
    return f"{own}{PREVIEW_MARK}{stage}" if stage else own


def failure_queue(environment: str) -> str:
    """How the name of the queue of an environment's or a preview's failed runs begins.

    No environment's name has an underscore, so no other one begins like this.
    """
    return f"trade-failures_{environment}_"


def service_stage(stack: str, region: str, environment: str) -> str:
    """The stage of a preview's stack; empty for all other stacks."""
    start = service_stack_name(region, environment) + PREVIEW_MARK
    return stack.removeprefix(start) if stack.startswith(start) else ""


def snake_case(name: str) -> str:
    """A CamelCase name as Terraform writes output names: `VpcId` is `vpc_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _checked(variable: str, name: str, longest: int) -> str:
    if len(name) > longest or not _NAME.fullmatch(name):
        raise UserError(
            f"{variable} {name!r}: use 1 to {longest} lower-case letters, digits and single "
            "hyphens, starting with a letter (for example dev, pr-42)"
        )
    return name

"""Names that both halves must agree on: environments, regions and stacks."""

import re

from shared.errors import UserError

PLATFORM = "trading-platform"

REGION_CODES = {
    "us-east-1": "useast1",
    "us-east-2": "useast2",
    "us-west-2": "uswest2",
}

# The tightest limit is that of the data bucket's name, 63 characters, of which 20 are left for the
# suffix (see `infra/naming.py`). RDS takes no double and no trailing hyphen in an identifier.
ENVIRONMENT_SUFFIX_MAX = 20
_ENVIRONMENT_SUFFIX = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def check_environment_suffix(suffix: str) -> str:
    """Return `suffix` if it can name an environment.

    Raises:
        UserError: it is empty, too long, or has characters that some AWS name does not take.
    """
    if len(suffix) > ENVIRONMENT_SUFFIX_MAX or not _ENVIRONMENT_SUFFIX.fullmatch(suffix):
        raise UserError(
            f"ENVIRONMENT_SUFFIX {suffix!r}: use 1 to {ENVIRONMENT_SUFFIX_MAX} lower-case letters, "
            "digits and single hyphens, starting with a letter (for example dev, pr-42)"
        )
    return suffix


def check_regions(regions: str) -> tuple[str, ...]:
    """Return the regions named in a comma-separated list, in its order.

    Raises:
        UserError: a region is unknown or named twice, or there is none.
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


def service_stack_name(region: str, environment: str) -> str:
    """The service's CloudFormation stack, such as `trading-platform-service-useast1-dev`."""
    return f"{PLATFORM}-service-{REGION_CODES[region]}-{environment}"

"""Names that both halves must agree on: environments, regions and stacks."""

import re

from shared.cli.errors import UserError

PLATFORM = "trading-platform"

REGION_CODES = {
    "us-east-1": "useast1",
    "us-east-2": "useast2",
    "us-west-2": "uswest2",
}

# The tightest limit is that of the data bucket's name, 63 characters, of which 20 are left for the
# suffix (see `infra/config/naming.py`). RDS takes no double and no trailing hyphen in an
# identifier.
ENVIRONMENT_SUFFIX_MAX = 20
# A stage has the same form. The tightest limit is that of the smoke check's function: with both at
# their longest, its name has 63 of 64 characters (see `service/template.yaml`).
SERVICE_STAGE_MAX = 20
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

# Between the environment and the stage of a preview. Neither can hold two hyphens in a row, so that
# no preview is called like one of another environment, or like the service of `dev-pr-42`.
PREVIEW_MARK = "--"


def check_environment_suffix(suffix: str) -> str:
    """Return `suffix` if it can name an environment.

    Raises:
        UserError: it is empty, too long, or has characters that some AWS name does not take.
    """
    return _checked("ENVIRONMENT_SUFFIX", suffix, ENVIRONMENT_SUFFIX_MAX)


def check_service_stage(stage: str) -> str:
    """Return `stage` if it can name a preview, or if it is empty: the environment's own service.

    Raises:
        UserError: it is too long, or has characters that some AWS name does not take.
    """
    return _checked("SERVICE_STAGE", stage, SERVICE_STAGE_MAX) if stage else ""


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


def service_stack_name(region: str, environment: str, stage: str = "") -> str:
    """The service's CloudFormation stack, such as `trading-platform-service-useast1-dev`.

    That of a preview has the stage besides: `trading-platform-service-useast1-dev--pr-42`.
    """
    own = f"{PLATFORM}-service-{REGION_CODES[region]}-{environment}"
    return f"{own}{PREVIEW_MARK}{stage}" if stage else own


def service_stage(stack: str, region: str, environment: str) -> str:
    """The stage of the preview that a stack of the environment is; empty for all other stacks."""
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

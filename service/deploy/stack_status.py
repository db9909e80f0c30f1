"""Whether a stack can take a release, and what to do where it cannot."""

from shared.cli.aws import find_stack
from shared.cli.errors import UserError
from shared.naming import PREVIEW_MARK


def check_releasable(stack: str, region: str) -> None:
    """Return if CloudFormation would begin to create or update the stack.

    Raises:
        UserError: it would not: a change is under way, or one has failed so that somebody must act
            first; or CloudFormation does not say.
    """
    refusal = why_not(stack, region, stack_status(stack, region))
    if refusal:
        raise UserError(refusal)


def stack_status(stack: str, region: str) -> str | None:
    """The stack's status; None if there is no such stack.

    Raises:
        UserError: CloudFormation does not say.
    """
    found = find_stack(stack, region)
    return found["StackStatus"] if found else None


def why_not(stack: str, region: str, status: str | None) -> str | None:
    """Why a stack with this status can take no release, and what to do; None if it can.

    The commands in the answer change this stack only, no other region and no other copy.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html#cfn-console-view-stack-data-resources-status-codes
    """
    match status:
        # A change set that nobody executed is no change.
        case None | "REVIEW_IN_PROGRESS":
            return None
        case "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED":
            stage = stack.partition(PREVIEW_MARK)[2]
            only = f"REGIONS={region} SERVICE_STAGE={stage}" if stage else f"REGIONS={region}"
            return (
                f"{stack} is {status}, which can take no release: run "
                f"`make destroy-service {only}`, which "
                f"{'deletes its data' if stage else 'keeps the trades'}, and release again"
            )
        case "UPDATE_ROLLBACK_FAILED":
            return (
                f"{stack} is {status}: repair what its events name, then run "
                f"`aws cloudformation continue-update-rollback --region {region} --stack-name "
                f"{stack}`, and release again"
            )
    if status.endswith("_IN_PROGRESS"):
        return (
            f"{stack} is {status}: another release is under way, or continues after its deploy was "
            "stopped; run this again when it has ended"
        )
    return None

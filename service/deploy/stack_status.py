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
    """Why a stack of this status takes no release, and what helps; None if it takes one.

    What helps is for this stack alone: other regions, and the service beside a preview, stay.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html#cfn-console-view-stack-data-resources-status-codes
    """
    match status:
        # A change set that was never carried out is no change.
        case None | "REVIEW_IN_PROGRESS":
            return None
        case "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED":
            stage = stack.partition(PREVIEW_MARK)[2]
            only = f"REGIONS={region} SERVICE_STAGE={stage}" if stage else f"REGIONS={region}"
            return (
                f"{stack} is {status}, which takes no release: run `make destroy-service {only}`, "
                f"which {'takes its data along' if stage else 'keeps the trades'}, and release "
                "again"
            )
        case "UPDATE_ROLLBACK_FAILED":
            return (
                f"{stack} is {status}: mend what its events name, then run "
                f"`aws cloudformation continue-update-rollback --region {region} --stack-name "
                f"{stack}`, and release again"
            )
    if status.endswith("_IN_PROGRESS"):
        return (
            f"{stack} is {status}: another release is under way, or goes on after its deploy was "
            "stopped; run again when it is over"
        )
    return None

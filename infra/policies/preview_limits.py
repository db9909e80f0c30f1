"""What a deployer of previews may not do, although the service deployer may."""

from infra.config.place import Place
from infra.policies.statements import (
    ACCESS_LOGS,
    APIS,
    FUNCTIONS,
    Document,
    deny,
    deny_all_but,
    document,
    in_region,
    of_stacks,
    own_hooks,
    own_layers,
    own_logs,
    own_queue,
    own_roles,
    preview_logs,
    service_alarms,
)

PREVIEW_LIMITS = "preview-limits"

_CHANGES_OF_STACKS = (
    "Cancel",
    "Continue",
    "Create",
    "Delete",
    "Execute",
    "Record",
    "Rollback",
    "Set",
    "Signal",
    "Tag",
    "Untag",
    "Update",
)
_CHANGES_OF_LOGS = (
    "Associate",
    "Create",
    "Delete",
    "Disassociate",
    "Integrate",
    "Process",
    "Put",
    "Tag",
    "Untag",
)


def preview_limits(place: Place) -> Document:
    """Denies changes of the environment's own service; attach it with the service deployer's."""
    return document(
        deny(
            "EnvironmentsOwnStack",
            [f"cloudformation:{verb}*" for verb in _CHANGES_OF_STACKS],
            [place.arn("cloudformation", f"stack/{place.service}/*")],
        ),
        # Their names have nothing of the stack's that would tell it from a preview's.
        deny(
            "EnvironmentsOwnFunctionsAndApi",
            ["apigateway:*", "lambda:*"],
            ["*"],
            of_stacks(place.service),
        ),
        deny("EnvironmentsOwnQueue", ["sqs:*"], [own_queue(place)]),
        # The API of a preview does not write to it either.
        deny(
            "EnvironmentsOwnAccessLog",
            ["apigateway:*"],
            ["*"],
            {"StringLike": {ACCESS_LOGS: own_logs(place, APIS)}},
        ),
        # Not even to give one of them to a function of a preview.
        deny("EnvironmentsOwnRoles", ["iam:*"], [own_roles(place)]),
        deny("EnvironmentsOwnLayer", ["lambda:*"], own_layers(place)),
        # Nor before the environment's first release, when no stack has the function.
        deny("EnvironmentsOwnHook", ["lambda:*"], own_hooks(place)),
        # What the environment's next release or rollback deploys.
        deny(
            "EnvironmentsOwnPackages",
            ["s3:DeleteObject*", "s3:PutObject*"],
            [f"{place.bucket('code')}/{place.service}/*"],
        ),
        deny_all_but(
            "LogsOfOthers",
            [f"logs:{verb}*" for verb in _CHANGES_OF_LOGS],
            preview_logs(place, FUNCTIONS, APIS),
            in_region(place),
        ),
        # A preview is released without CodeDeploy. `StopDeployment` has no resource.
        deny("EnvironmentsOwnDeployments", ["codedeploy:*"], ["*"]),
        # A preview has no alarm, no dashboard and no schedule.
        deny(
            "OperationOfOthers",
            ["cloudwatch:*", "scheduler:*"],
            [
                *service_alarms(place),
                place.arn("cloudwatch", f"dashboard/{place.service}", region=""),
                place.arn("scheduler", "*"),
            ],
        ),
    )

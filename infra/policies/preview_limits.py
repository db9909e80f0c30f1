"""What a deployer of previews may not do, although the service deployer may."""

from infra.config.place import Place
from infra.policies.statements import Document, deny, document

PREVIEW_LIMITS = "preview-limits"


def preview_limits(place: Place) -> Document:
    """Denies changes of the environment's own service; attach it with the service deployer's."""
    changes = ("Cancel", "Continue", "Create", "Delete", "Execute", "Rollback", "Set", "Update")
    return document(
        deny(
            "EnvironmentsOwnService",
            [f"cloudformation:{verb}*" for verb in changes],
            [place.arn("cloudformation", f"stack/{place.service}/*")],
        ),
    )

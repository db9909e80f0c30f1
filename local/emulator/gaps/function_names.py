"""Functions of one name in many regions.

AWS: they have nothing to do with each other.
ministack: an update of the configuration of one ends those of all regions in the middle of what
they run, so that of releases side by side each breaks the other's check.
Here: it ends the updated one's own processes alone. Remove once ministack minds the region.
"""

from __future__ import annotations

from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc


def install() -> None:
    """End processes of functions in the account and region of the request alone."""
    original = lambda_svc.invalidate_worker

    def invalidate(
        func_name: str,
        qualifier: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        original(func_name, qualifier, account or get_account_id(), region or get_region())

    lambda_svc.invalidate_worker = invalidate

"""Functions with the same name in several regions.

AWS: they are independent.
ministack: a configuration update in one region kills the function's running processes in all
regions. Parallel releases break each other's smoke check.
Here: an update ends the processes of its own region only. Remove once ministack separates regions.
"""

from __future__ import annotations

from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc


def install() -> None:
    """End only the processes of the request's account and region."""
    original = lambda_svc.invalidate_worker

    def invalidate(
        func_name: str,
        qualifier: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        original(func_name, qualifier, account or get_account_id(), region or get_region())

    lambda_svc.invalidate_worker = invalidate

"""Policies that require TLS.

AWS: serves TLS, and policies can require it (`aws:SecureTransport`).
ministack: serves plain HTTP here. With IAM enforced, such policies deny each request.
Here: a request on this machine counts as encrypted.
"""

from __future__ import annotations

from ministack import app


def install() -> None:
    """Mark every request as encrypted."""
    original = app.pin_request_origin

    def pin(source_ip: str, _secure_transport: bool) -> None:
        original(source_ip, True)

    app.pin_request_origin = pin

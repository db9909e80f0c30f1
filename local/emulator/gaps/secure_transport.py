"""The transport that policies see.

AWS: is reached through TLS, and policies may insist on it (`aws:SecureTransport`).
ministack: serves plain HTTP here, which such policies refuse when IAM is enforced.
Here: a request on this machine counts as one through TLS.
"""

from __future__ import annotations

from ministack import app


def install() -> None:
    """Let every request count as one through TLS."""
    original = app.pin_request_origin

    def pin(source_ip: str, _secure_transport: bool) -> None:
        original(source_ip, True)

    app.pin_request_origin = pin

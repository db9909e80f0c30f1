"""The cursor between two pages of the list: opaque, and signed against changes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from trading.errors import InvalidCursor
from trading.models import PagePosition, TradeFilter

_MAC_BYTES = 16


def encode(place: PagePosition, wanted: TradeFilter, key: str) -> str:
    """The cursor for the page after a position in the list of the `wanted` trades."""
    # Its length is a multiple of 3 bytes, so that base64 has no unused bits that could differ.
    created_at = place.created_at.isoformat(timespec="microseconds")
    payload = f"{created_at}|{place.trade_id}".encode()
    return base64.urlsafe_b64encode(_mac(payload, wanted, key) + payload).rstrip(b"=").decode()


def decode(cursor: str, wanted: TradeFilter, key: str) -> PagePosition:
    """The place that a cursor leads on from.

    Raises:
        InvalidCursor: the service did not give this cursor, or not for the same filters.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        raw = b""
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, wanted, key)):
        raise InvalidCursor(
            "The parameter 'cursor' is not the next_cursor of a page with the same filters: "
            "start again without it."
        )
    created_at, _, trade_id = payload.decode().partition("|")
    return PagePosition(datetime.fromisoformat(created_at), trade_id)


def _mac(payload: bytes, wanted: TradeFilter, key: str) -> bytes:
    message = b"\0".join((b"cursor", payload, repr(wanted).encode()))
    return hmac.digest(key.encode(), message, hashlib.sha256)[:_MAC_BYTES]

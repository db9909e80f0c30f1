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
_ALWAYS_SIGNED = ("symbol", "side", "status", "since", "before")


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
    message = b"\0".join((b"cursor", payload, _signed(wanted).encode()))
    return hmac.digest(key.encode(), message, hashlib.sha256)[:_MAC_BYTES]


def _signed(wanted: TradeFilter) -> str:
    """The filters in a form that stays the same in all releases.

    During a release, callers take cursors of one release to the other. The first five filters are
    always written, as the first release did. A later one is written only if it is given, so that
    cursors without it are the same with a release that does not know it.
    """
    written = {
        name: value
        for name, value in vars(wanted).items()
        if name in _ALWAYS_SIGNED or value is not None
    }
    return f"TradeFilter({', '.join(f'{name}={value!r}' for name, value in written.items())})"

"""What the client sends and gets, whatever carries it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A request; `path` is the part of the URL after the API's own, with the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """A request was not answered. Whether it arrived is not known."""


# Carries one request, once.
Transport = Callable[[Request], Response]

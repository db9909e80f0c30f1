"""GitHub's API, as far as the workflows use it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PULLS = "/repos/acme/platform/pulls/"
COMMENTS = "/repos/acme/platform/issues/7/comments"
ONE = "/repos/acme/platform/issues/comments/"
BOT = "github-actions[bot]"


@dataclass
class GitHub:
    """Pull request 7 of acme/platform, with its comments, on a server."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: dict[str, str] = field(default_factory=lambda: {"7": "open"})
    token: str = "token-of-the-job"

    @property
    def env(self) -> dict[str, str]:
        """The environment of a workflow step that comments."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "acme/platform",
            "PULL_REQUEST": "7",
            "GH_TOKEN": "token-of-the-job",
        }

    def add(self, body: str, author: str = BOT) -> None:
        user = {"login": author}
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": user})


@contextmanager
def github_api() -> Iterator[GitHub]:
    """Serve the API as long as the context lasts."""
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path.startswith(PULLS):
                state_of = state.pulls.get(address.path.removeprefix(PULLS))
                self._answer({"state": state_of} if state_of else None)
                return
            query = parse_qs(address.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            found = state.comments[size * (page - 1) : size * page]
            self._answer(found if address.path == COMMENTS else None)

        def do_POST(self) -> None:
            if self.path == COMMENTS:
                state.add(self._body())
            self._answer({} if self.path == COMMENTS else None)

        def do_PATCH(self) -> None:
            comment = state.comments[int(self.path.removeprefix(ONE)) - 1]
            comment["body"] = self._body()
            self._answer(comment)

        def _body(self) -> str:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            return str(json.loads(text)["body"])

        def _answer(self, document: object) -> None:
            authorized = self.headers["Authorization"] == f"Bearer {state.token}"
            found = 404 if document is None else 200
            self.send_response(found if authorized else 401)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()

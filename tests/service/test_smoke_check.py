"""The check of a new version: real requests, over HTTP stand-ins for Lambda and CodeDeploy."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from release import smoke_check
from tests.service.conftest import ROOT, context, rows
from trading import api

VERSION = "arn:aws:lambda:us-east-1:000000000000:function:trade:7"
HOOK = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}


class Cloud:
    """Lambda, with the version to check, and CodeDeploy."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.handler: Any = lambda event: api.handler(event, context())
        self.is_down = False
        cloud = self

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers, answer = cloud.answer(self.path, self.headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, headers: Any, body: Any) -> tuple[int, dict[str, str], Any]:
        if (
            headers.get("X-Amz-Target")
            == "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus"
        ):
            self.reports.append(body)
            return 200, {}, {}
        assert path == f"/2015-03-31/functions/{VERSION.replace(':', '%3A')}/invocations"
        if self.is_down:
            return 404, {}, {"message": "Function not found"}
        try:
            return 200, {}, self.handler(body)
        except Exception as error:
            return 200, {"X-Amz-Function-Error": "Unhandled"}, {"errorMessage": str(error)}


@pytest.fixture
def cloud(service: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    cloud = Cloud()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{cloud.server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CHECKED_VERSION_ARN": VERSION,
        "DATABASE_ROLE": "writer",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(smoke_check, "_EVENTS", ROOT / "service" / "events")
    yield cloud
    cloud.server.shutdown()


def check(event: dict[str, Any]) -> dict[str, Any]:
    return smoke_check.handler(event, context())


def test_a_version_that_reaches_its_database_passes_and_nothing_is_booked(
    cloud: Cloud, schema: Connection[Cursor]
) -> None:
    assert check(HOOK) == {"passed": True, "problems": {}}
    (report,) = cloud.reports
    assert report == {
        "deploymentId": "d-1",
        "lifecycleEventHookExecutionId": "hook-1",
        "status": "Succeeded",
    }
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_without_a_deployment_the_check_is_made_and_reported_to_the_caller_alone(
    cloud: Cloud,
) -> None:
    assert check({})["passed"] is True
    assert cloud.reports == []


def test_a_version_that_does_not_reach_its_database_stops_the_release(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    answer = check(HOOK)
    assert answer["passed"] is False
    assert answer["problems"]["ready.json"].startswith("503: ")
    assert "post_trade_validate_only.json" not in answer["problems"]
    assert [report["status"] for report in cloud.reports] == ["Failed"]


def test_a_version_that_crashes_stops_the_release_and_the_log_says_why(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_event: dict[str, Any]) -> None:
        raise ImportError("no module named trading")

    stream = io.StringIO()
    monkeypatch.setattr(smoke_check.logger.registered_handler, "stream", stream)
    cloud.handler = crash
    assert check(HOOK)["passed"] is False
    assert [report["status"] for report in cloud.reports] == ["Failed"]
    assert "the function failed: no module named trading" in stream.getvalue()


def test_a_version_that_cannot_be_called_stops_the_release(cloud: Cloud) -> None:
    cloud.is_down = True
    assert check(HOOK)["passed"] is False
    assert [report["status"] for report in cloud.reports] == ["Failed"]

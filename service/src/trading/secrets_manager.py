"""One call of Secrets Manager, signed and sent without boto3.

Loading boto3 takes longer than everything else that a first request needs. A wrong signature is
refused, so a mistake here gives nobody access.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

_SERVICE = "secretsmanager"
_ALGORITHM = "AWS4-HMAC-SHA256"
# Two attempts take less time than a request has.
_TIMEOUT_SECONDS = 3.0


class SecretsManagerError(Exception):
    """Secrets Manager refused. `str()` gives its error code, such as `AccessDeniedException`."""


class NotAnswered(SecretsManagerError):
    """Secrets Manager did not answer, or answered with a server error."""


@dataclass(frozen=True)
class Keys:
    """The keys of the function's role. Keys of a user have no token."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def get_secret_string(secret_arn: str, version_stage: str) -> str:
    """The text of one version of a secret.

    Raises:
        SecretsManagerError: Secrets Manager refused, or did not answer two attempts.
    """
    body = json.dumps({"SecretId": secret_arn, "VersionStage": version_stage}).encode()
    try:
        return _get(body)
    except NotAnswered:
        return _get(body)


def signed_headers(
    body: bytes, host: str, region: str, keys: Keys, now: datetime
) -> Mapping[str, str]:
    """The headers of a GetSecretValue request, signed with `keys` at the time `now` (UTC)."""
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    # Signature Version 4 wants them sorted by name, as they are here.
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": moment,
        **({"x-amz-security-token": keys.token} if keys.token else {}),
        "x-amz-target": f"{_SERVICE}.GetSecretValue",
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = (moment[:8], region, _SERVICE, "aws4_request")
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{keys.secret_key}".encode()
    for part in (*scope, "\n".join((_ALGORITHM, moment, "/".join(scope), digest))):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    credential = "/".join((keys.access_key, *scope))
    return {
        **headers,
        "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, "
        f"Signature={key.hex()}",
    }


def _get(body: bytes) -> str:
    region = os.environ["AWS_REGION"]
    # The variables that the SDKs read: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    url = os.environ.get(
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        os.environ.get("AWS_ENDPOINT_URL", f"https://{_SERVICE}.{region}.amazonaws.com"),
    )
    headers = signed_headers(body, urlsplit(url).netloc, region, _keys(), datetime.now(UTC))
    return str(_send("POST", url, headers, body)["SecretString"])


def _keys() -> Keys:
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return Keys(
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ.get("AWS_SESSION_TOKEN"),
        )
    # An environment that was started from a snapshot gets its keys from an endpoint:
    # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html#snapstart-credentials
    given = _send(
        "GET",
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        {"authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
    )
    return Keys(given["AccessKeyId"], given["SecretAccessKey"], given["Token"])


def _send(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> dict[str, Any]:
    connection = _connection(url)
    try:
        connection.request(method, urlsplit(url).path or "/", body, headers)
        response = connection.getresponse()
        document: dict[str, Any] = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise NotAnswered(type(error).__name__) from error
    finally:
        connection.close()
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NotAnswered(str(response.status))
    if response.status != HTTPStatus.OK:
        raise SecretsManagerError(document.get("__type", str(response.status)))
    return document


def _connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)
    trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    return HTTPSConnection(parts.netloc, timeout=_TIMEOUT_SECONDS, context=trusted)

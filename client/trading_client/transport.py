"""Carries requests over HTTP, signed with the credentials that AWS tools find."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionError as NotConnected
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

from trading_client.messages import NoAnswer, Request, Response

# API Gateway answers within 29 seconds.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
_TIMEOUT_SECONDS = 30
_CONNECTIONS = 32


class NoCredentials(Exception):
    """Requests must be signed, and AWS tools find no credentials."""


class Signer:
    """Signs requests for API Gateway with Signature Version 4.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """

    def __init__(
        self, url: str, credentials: Credentials | None = None, region: str | None = None
    ) -> None:
        """Take the credentials and the region that AWS tools find, unless they are given.

        The region in the URL of a deployed API takes precedence over the configured one.

        Raises:
            NoCredentials: there are none.
        """
        session = Session()
        # https://<api>.execute-api.<region>.amazonaws.com/<stage>
        _, _, named = (urlsplit(url).hostname or "").partition(".execute-api.")
        region = region or named.partition(".")[0] or session.get_config_variable("region")
        credentials = credentials or session.get_credentials()
        if credentials is None:
            raise NoCredentials(
                "requests must be signed, and there are no AWS credentials: set AWS_PROFILE or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or do not sign"
            )
        self._auth = SigV4Auth(credentials, "execute-api", region or "us-east-1")

    def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """The headers that sign a request."""
        signed = AWSRequest(method, url, {}, body)
        self._auth.add_auth(signed)
        return dict(signed.headers.items())


class HttpTransport:
    """Sends requests to an API, through the environment's proxy. It may be shared by threads."""

    def __init__(
        self, url: str, *, signer: Signer | None, timeout_seconds: int = _TIMEOUT_SECONDS
    ) -> None:
        """Connect to nothing yet. `url` is the API's, with its stage and without a route."""
        self._url = url
        self._signer = signer
        self._session = URLLib3Session(
            proxies=get_environ_proxies(url),
            timeout=timeout_seconds,
            max_pool_connections=_CONNECTIONS,
        )

    def __call__(self, request: Request) -> Response:
        """Send a request once.

        Raises:
            NoAnswer: there was no answer.
        """
        url = self._url + request.path
        headers: Mapping[str, str] = request.headers
        if self._signer:
            headers = {**headers, **self._signer.headers(request.method, url, request.body)}
        prepared = AWSRequest(request.method, url, headers, request.body).prepare()
        try:
            answer = self._session.send(prepared)
            body = answer.content
        except (HTTPClientError, NotConnected) as error:
            raise NoAnswer(str(error)) from error
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, names, body)

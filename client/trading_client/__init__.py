"""A typed client of the trade API.

from trading_client import Client

api = Client("https://abc123.execute-api.us-east-1.amazonaws.com/dev")
booked = api.post_trade({"symbol": "AAPL", "quantity": 100})
"""

from trading_client.client import ApiError, Client, Unavailable, is_replay
from trading_client.messages import NoAnswer, Request, Response, Transport
from trading_client.transport import HttpTransport, NoCredentials, Signer

__all__ = [
    "ApiError",
    "Client",
    "HttpTransport",
    "NoAnswer",
    "NoCredentials",
    "Request",
    "Response",
    "Signer",
    "Transport",
    "Unavailable",
    "is_replay",
]

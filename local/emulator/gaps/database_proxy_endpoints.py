"""Endpoints of database proxies that accept connections.

AWS: a proxy's endpoint connects, through the proxy, to the target cluster.
ministack: returns a name in amazonaws.com where nothing answers.
Here: the endpoint is the address on which all databases listen. With the cluster's port, it reaches
the database directly, without the proxy's pooling and authentication. Remove once ministack
answers at the endpoints.
"""

from __future__ import annotations

from typing import Any

from ministack.services import rds

from local.emulator.installation import HOST
from local.emulator.rds_actions import Parameters


def install() -> None:
    """Give new proxies and proxy endpoints the databases' address."""
    for action in ("CreateDBProxy", "CreateDBProxyEndpoint"):
        rds._ACTION_MAP[action] = _readdressing(rds._ACTION_MAP[action])


def _readdressing(original: Any) -> Any:
    def handle(parameters: Parameters) -> Any:
        response = original(parameters)
        for record in [*rds._db_proxies.values(), *rds._db_proxy_endpoints.values()]:
            record["Endpoint"] = HOST
        return response

    return handle

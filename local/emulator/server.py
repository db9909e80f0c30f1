"""Puts ministack and the gap modules together and serves them over HTTP.

Import it only after the settings have been applied to the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app

from local.emulator.databases import (
    aurora_attributes,
    database_proxy_endpoints,
    global_databases,
    managed_master_passwords,
    point_in_time_recovery,
    renamed_databases,
    secure_transport,
)
from local.emulator.databases.aurora_database import AuroraDatabases
from local.emulator.gaps import (
    alarm_attributes,
    all_traffic_rules,
    api_definitions,
    change_set_contents,
    code_deploy,
    failed_deletions,
    flow_log_attributes,
    function_names,
    iam_condition_keys,
    interrupted_stacks,
    network_interface_filters,
    policy_simulation,
    prefix_list_rules,
    resource_arns,
    sam_transform_parameters,
    secret_replicas,
    secrets_without_value,
    ssm_parameter_names,
    stack_role_boundaries,
    vpc_endpoint_attributes,
)
from local.emulator.settings import HOST, Settings
from local.emulator.state import DurableState

_GAPS = (
    alarm_attributes,
    all_traffic_rules,
    api_definitions,
    aurora_attributes,
    change_set_contents,
    code_deploy,
    database_proxy_endpoints,
    failed_deletions,
    flow_log_attributes,
    function_names,
    iam_condition_keys,
    managed_master_passwords,
    network_interface_filters,
    point_in_time_recovery,
    policy_simulation,
    prefix_list_rules,
    resource_arns,
    sam_transform_parameters,
    secret_replicas,
    secrets_without_value,
    secure_transport,
    ssm_parameter_names,
    stack_role_boundaries,
    vpc_endpoint_attributes,
)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then save the state and stop the databases."""
    for gap in _GAPS:
        gap.install()
    databases = AuroraDatabases(settings)
    databases.install()
    global_databases.install(databases)
    renamed_databases.install(databases)
    state = DurableState()
    state.install()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        async def restored_first(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                interrupted_stacks.heal()
                await asyncio.to_thread(databases.start)
                state.start()
                print(f"emulator: serving AWS at {settings.url}", flush=True)
            await send(message)

        async def saved_last() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(state.stop)
            return message

        if scope["type"] == "lifespan":
            await app.app(scope, saved_last, restored_first)
        else:
            await app.app(scope, receive, send)

    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    try:
        asyncio.run(serve(application, config))
    finally:
        databases.stop()

"""Client channels with the settings that every voxmesh hop uses."""

from __future__ import annotations

import json

import grpc

from voxmesh_runtime.proxies import bypasses_proxy

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}})

# A link that is cut or falls silent becomes UNAVAILABLE within about five seconds instead of minutes. A shorter wait
# would take a phone between two cells, or a host whose cores are all busy, for gone.
_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.keepalive_time_ms", 1_500),
    ("grpc.keepalive_timeout_ms", 3_000),
    # What grpcio really waits for the answer to a ping; the option before is not heeded.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)

_APART = (("grpc.use_local_subchannel_pool", 1),)


def proxy_options(target: str) -> tuple[tuple[str, int], ...]:
    """Options of every channel to `target`: grpc itself would reach even loopback through the proxy of `http_proxy`."""
    return (("grpc.enable_http_proxy", int(not bypasses_proxy(target))),)


def open_channel(target: str, *, is_apart: bool = False) -> grpc.aio.Channel:
    """A channel to a gRPC target such as "127.0.0.1:50052" or "dns:///stt:50052".

    Calls spread over all healthy addresses of the target; the caller closes it. Channels of one process share their
    connections, but for those that are to be apart.
    """
    options = (*_OPTIONS, *proxy_options(target), *(_APART if is_apart else ()))
    return grpc.aio.insecure_channel(target, options=options)  # noqa: TID251 # the place that it is banned for


def open_plain_channel(target: str) -> grpc.aio.Channel:
    """A channel with grpc's own settings, to a server that need not be healthy."""
    return grpc.aio.insecure_channel(target, options=proxy_options(target))  # noqa: TID251 # as above

"""Whether a service is there and can serve, asked without waiting for either."""

from __future__ import annotations

import enum

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh_runtime.channels import open_plain_channel


class Health(enum.Enum):
    """What a service answers about itself."""

    DOWN = "down"
    """Nothing answers."""
    NOT_SERVING = "not serving"
    """It loads its model, has lost it for a while, or drains."""
    SERVING = "serving"


async def check_health(target: str, timeout_s: float = 1.0) -> Health:
    """The health of the server at a gRPC target."""
    # A plain channel: the mesh's own channels report a service that is not serving as no connection at all.
    async with open_plain_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer: health_pb2.HealthCheckResponse = await stub.Check(  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.aio.AioRpcError:
            return Health.DOWN
    return Health.SERVING if answer.status == health_pb2.HealthCheckResponse.SERVING else Health.NOT_SERVING

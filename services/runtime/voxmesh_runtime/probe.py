"""Ask a server's health from the command line: `python -m voxmesh_runtime.probe 127.0.0.1:50052`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh_runtime.channels import proxy_options


def is_serving(target: str, timeout_s: float = 2.0) -> bool:
    """True when the server at `target` answers SERVING in time."""
    with grpc.insecure_channel(target, options=proxy_options(target)) as channel:  # noqa: TID251 # blocks, with the options
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer: health_pb2.HealthCheckResponse = stub.Check(  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.RpcError:
            return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 when it serves, 1 when not, 2 when no server is named."""
    match arguments:
        case [target]:
            return 0 if is_serving(target) else 1
        case _:
            sys.stderr.write("usage: python -m voxmesh_runtime.probe HOST:PORT\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

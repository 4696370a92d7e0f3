"""A pytest plugin: one mesh of real processes for all tests of a session, and a collector of the spans it exports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from collecting import Collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from voxmesh_client import MeshSettings
from voxmesh_client.slots import SLOTS
from voxmesh_runtime.ports import free_block

STARTED_WITHIN_S = 300
"""The first start fetches the default weights."""


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept
    server.stop(None).wait()


@pytest.fixture(scope="session")
def shared_mesh(
    collector: Collector, own_state: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshSettings]:
    """Where the mesh is: `voxmesh up` with all seven services, stopped at the end."""
    del own_state
    base_port = free_block(len(SLOTS))
    log = tmp_path_factory.mktemp("mesh") / "up.log"
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
    command = [sys.executable, "-m", "voxmesh_client", "up", "--wait", "--base-port", str(base_port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_until_serving(process, log)
        yield MeshSettings(base_port=base_port)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="session")
def settings(shared_mesh: MeshSettings) -> MeshSettings:
    """The shared mesh, by the name that most tests give it."""
    return shared_mesh


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(STARTED_WITHIN_S * 10):
        if "services serve" in log.read_text() or process.poll() is not None:
            break
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is not None or "services serve" not in log.read_text():
        raise RuntimeError(f"the mesh did not start:\n{log.read_text()}")

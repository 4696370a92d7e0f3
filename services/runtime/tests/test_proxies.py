"""C8: what is on this machine is never reached through a proxy."""

from __future__ import annotations

import pytest

from voxmesh_runtime.proxies import bypasses_proxy

pytestmark = pytest.mark.unit

OURS = (
    "127.0.0.1:50051",
    "127.8.9.10:1",
    "127.0.0.1",
    "localhost",
    "localhost:50051",
    "LocalHost.:50051",
    "stt.localhost:50051",
    "[::1]:50051",
    "::1",
    "[::ffff:127.0.0.1]:1",
    "[::1%lo]:1",
    "0.0.0.0:50051",
    "dns:localhost:50051",
    "dns:///localhost:50051",
    "dns://8.8.8.8/localhost:50051",
    "ipv4:127.0.0.1:1,127.0.0.1:2",
    "ipv6:[::1]:50051",
    "ipv6:%5B::1%5D:50051",
    "unix:relative.sock",
    "unix:///run/voxmesh.sock",
    "unix-abstract:voxmesh",
    "http://127.0.0.1:8080/v1",
    "https://user:secret@localhost/v1",
    "HTTP://[::1]:4317",
    "http://localhost?x=1",
)
THEIRS = (
    "",
    "stt:50051",
    "dns:///stt:50051",
    "dns://localhost/stt:50051",
    "10.0.0.7:50051",
    "ipv4:10.0.0.7:1",
    "[2001:db8::1]:50051",
    "localhost.example.org:1",
    "notlocalhost:1",
    "https://api.example.org/v1",
    "https://example.org/localhost",
    "http://localhost@example.org/",
    "http://127.0.0.1.example.org/",
)


@pytest.mark.parametrize("address", OURS, ids=lambda address: f"C8-{address}")
def test_an_address_of_this_machine_bypasses_proxies(address: str) -> None:
    assert bypasses_proxy(address)


@pytest.mark.parametrize("address", THEIRS, ids=lambda address: f"C8-{address}")
def test_any_other_address_takes_the_usual_way(address: str) -> None:
    assert not bypasses_proxy(address)

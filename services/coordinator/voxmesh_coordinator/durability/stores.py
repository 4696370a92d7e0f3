"""The store that a setting names."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from voxmesh_coordinator.durability.store import SessionStore
from voxmesh_runtime.errors import InvalidArgument


async def open_store(url: str) -> SessionStore | None:
    """The store that a setting names: `sqlite:///PATH`, `redis://HOST:PORT/NUMBER`, `rediss://...` or `none`.

    Raises:
        InvalidArgument: it names none of these, or redis without its package.
        StoreFailed: it cannot be opened.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            from voxmesh_coordinator.durability.sqlite_store import SqliteStore  # noqa: PLC0415 # only the chosen one is loaded

            return await SqliteStore.open(url.removeprefix("sqlite://"))
        case "redis" | "rediss" | "unix":
            if find_spec("redis") is None:
                problem = "needs the package redis: install voxmesh-coordinator[redis]"
                raise InvalidArgument("session_store", problem)
            from voxmesh_coordinator.durability.redis_store import RedisStore  # noqa: PLC0415 # an optional dependency

            return await RedisStore.open(url)
        case _ if url == "none":
            return None
        case _:
            raise InvalidArgument("session_store", "must be sqlite:///PATH, redis://HOST:PORT/NUMBER or none")

"""Keeping a session's streams on backends that take what is spoken, and opening them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from voxmesh_coordinator.languages import SpokenLanguages
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.status import ESSENTIAL

Streams = Iterable[FailoverStream[Any, Any, Any]]


async def open_all(streams: Streams) -> None:
    """Open the streams of a session that begins, all at once; those that it can do without need not be reached.

    Raises:
        ServiceFailed: alone or in a group, when one refuses the config, or an essential one cannot be reached.
    """
    async with asyncio.TaskGroup() as tasks:
        for stream in streams:
            tasks.create_task(stream.open() if stream.slot in ESSENTIAL else _open_if_there(stream))


async def _open_if_there(stream: FailoverStream[Any, Any, Any]) -> None:
    try:
        await stream.reach()
    except ServiceFailed as failure:
        if not failure.is_absence:
            raise


def select_for_languages(languages: SpokenLanguages, streams: Streams) -> None:
    """The languages that are spoken changed: the best backends for them are moved to between turns."""
    for stream in streams:
        if stream.slot == "stt":
            stream.languages = languages.current
        elif stream.slot == "tts":
            # A reply is in one language.
            stream.languages = languages.current[-1:]

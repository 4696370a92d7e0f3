"""Keeping a session's streams on backends that answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.reply.speech import Speech
from voxmesh_coordinator.session.languages import SpokenLanguages
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.status import ESSENTIAL


async def open_all(links: Iterable[FailoverStream[Any, Any]]) -> None:
    """Open the streams of a session that begins, all at once; those that it can do without need not be reached.

    Raises:
        ServiceFailed: alone or in a group, when one refuses the config, or an essential one cannot be reached.
    """
    async with asyncio.TaskGroup() as tasks:
        for link in links:
            tasks.create_task(link.open() if link.slot in ESSENTIAL else _open_if_there(link))


async def _open_if_there(link: FailoverStream[Any, Any]) -> None:
    try:
        await link.reach()
    except ServiceFailed as failure:
        if not failure.is_absence:
            raise


def select_for_languages(languages: SpokenLanguages, microphone: Microphone | None, speech: Speech | None) -> None:
    """The languages that are spoken changed: the best backends for them are moved to between turns."""
    if microphone is not None:
        microphone.stt.languages = languages.current
    if speech is not None:
        # A reply is in one language.
        speech.link.languages = languages.current[-1:]


class StreamMover:
    """Opens streams again that a better server is there for, beside whatever else happens."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def move(self, links: Iterable[FailoverStream[Any, Any]]) -> None:
        """Move those that should; for the time between turns."""
        wanted = [link for link in links if link.should_move]
        if wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(_move(wanted))

    def cancel(self) -> None:
        """The session is over."""
        if self._task is not None:
            self._task.cancel()


async def _move(links: Iterable[FailoverStream[Any, Any]]) -> None:
    for link in links:
        # A link that cannot be opened now is opened when it is needed.
        with suppress(ServiceFailed):
            await link.move()

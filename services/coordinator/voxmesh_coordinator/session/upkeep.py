"""Keeping a session's streams on backends that answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import grpc

from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.reply.speech import Speech
from voxmesh_coordinator.session.languages import SpokenLanguages
from voxmesh_coordinator.turn.user_turn import UserTurn
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


async def move_if_better(links: Iterable[FailoverStream[Any, Any]]) -> None:
    """Open the streams anew that a better server is there for; for the time between turns."""
    for link in links:
        if link.should_move:
            # A link that cannot be opened now is opened when it is needed.
            with suppress(ServiceFailed):
                await link.move()


async def try_recover(microphone: Microphone | None, failure: ServiceFailed) -> bool:
    """Listening goes on, on another backend or on the same one come back; nothing that was said is lost."""
    if microphone is None or not failure.is_worth_another_try:
        return False
    try:
        await microphone.recover()
    except ServiceFailed:
        return False
    return True


async def fail_over_slow_stt(turn: UserTurn, microphone: Microphone) -> None:
    """A recogniser that takes far longer than it usually does is left, if there is another.

    Raises:
        ServiceFailed: the other cannot be reached either.
    """
    patience_s = microphone.stt.patience_s
    if patience_s is None or turn.stt_hop is None or not turn.finalizing:
        return
    if turn.metrics.clock.wall_ns() - turn.stt_hop.sent_ns > patience_s * 1e9:
        label = microphone.stt.backend.label
        problem = "takes far longer than it usually does"
        await microphone.stt.leave(ServiceFailed(label, grpc.StatusCode.DEADLINE_EXCEEDED, problem))
        turn.stt_hop.sent_ns = turn.metrics.clock.wall_ns()
        await microphone.recover()

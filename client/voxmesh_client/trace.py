"""Reports of turns: asked of a coordinator, followed as they come, or read from a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client.endpoint import Endpoint

Request = conversation_pb2.ListTurnReportsRequest
ReportedTurn = conversation_pb2.ReportedTurn

MAX_TURNS = 1000
"""Most reports of one answer."""
FOLLOW_EVERY_S = 0.5


class NoReports(Exception):
    """A file holds no reports of turns; the message says why."""


class Traces:
    """The newest turn reports that a coordinator holds, of all its sessions."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._list = conversation_pb2_grpc.ConversationServiceStub(endpoint.channel).ListTurnReports

    async def list(self, request: Request) -> list[ReportedTurn]:
        """Reports that meet a request, oldest first.

        Raises:
            MeshError: the coordinator does not answer or refuses.
        """
        return list((await self._endpoint.call(self._list, request)).turns)

    async def follow(self, request: Request) -> AsyncGenerator[ReportedTurn]:
        """Those that `list` gives, then each new one as it is made; never ends by itself."""
        wanted = Request()
        wanted.CopyFrom(request)
        while True:
            for turn in await self.list(wanted):
                wanted.after_time.CopyFrom(turn.report_time)
                yield turn
            # Whatever comes from now on is new, however much comes at once.
            wanted.limit = MAX_TURNS
            if not wanted.HasField("after_time"):
                wanted.after_time.FromNanoseconds(1)
            await asyncio.sleep(FOLLOW_EVERY_S)


def read_reports(path: Path) -> list[ReportedTurn]:
    """The reports in a file that `voxmesh trace --json`, or another verb's `--json`, wrote.

    Raises:
        NoReports: it is no JSON, or JSON without reports.
        OSError: it cannot be read.
    """
    try:
        turns = [
            _parsed(found) for document in _documents(path.read_text(encoding="utf-8")) for found in _reported(document)
        ]
    except (ValueError, ParseError, RecursionError) as error:
        raise NoReports(f"{path}: no JSON of turn reports ({error}); write it with: voxmesh trace --json") from None
    if not turns:
        raise NoReports(f"{path}: no turn reports in it; write it with: voxmesh trace --last 10 --json")
    return turns


def _documents(text: str) -> Iterator[Any]:
    """The JSON values of a text, one after another."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].lstrip()


def _reported(document: Any) -> Iterator[dict[str, Any]]:
    """Every object with a report, alone or in a list named turns."""
    match document:
        case {"report": dict()}:
            yield document
        case {"turns": [*turns]}:
            for turn in turns:
                yield from _reported(turn)
        case [*turns]:
            for turn in turns:
                yield from _reported(turn)
        case _:
            return


def _parsed(found: dict[str, Any]) -> ReportedTurn:
    known = {name: found[name] for name in ("session_id", "report_time", "report") if name in found}
    # A newer coordinator may tell more than this client knows.
    return ParseDict(known, ReportedTurn(), ignore_unknown_fields=True)

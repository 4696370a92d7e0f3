"""A chat completions server as an engine of the vision-language service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.loop_thread import LoopThread
from voxmesh_runtime.upstreams import check_address
from voxmesh_vlm.engine import Analysis, AnalysisRequest, EngineInfo, Structured, Task, TextDelta, Truncated
from voxmesh_vlm.schemas import fault
from voxmesh_vlm.spotting import LineReader, spotting_prompt
from voxmesh_vlm_openai_vision.answers import object_in
from voxmesh_vlm_openai_vision.calls import Calls, Inbox
from voxmesh_vlm_openai_vision.messages import Question, question, reading, sent_size
from voxmesh_vlm_openai_vision.probe import Abilities, connect
from voxmesh_vlm_openai_vision.server import Server
from voxmesh_vlm_openai_vision.settings import PREFIX, OpenAiVisionSettings

_AT_WORK = TextDelta("")
_ATTEMPTS = 2
"""At an answer by a schema."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """What is there while the engine is loaded."""

    loop: LoopThread
    calls: Calls
    abilities: Abilities

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        self.loop.submit(self.calls.server.close()).result()
        self.loop.close()


class _Reply:
    """The pieces of one answer, with empty ones while nothing comes; whoever stops reading ends the request."""

    def __init__(self, connection: _Connection, asked: Question) -> None:
        self._connection = connection
        self._asked = asked
        self.is_cut = False
        """The limit of tokens ended it."""

    def __iter__(self) -> Iterator[str]:
        inbox = Inbox()
        call = self._connection.loop.submit(self._connection.calls.ask(self._asked, inbox.put))
        try:
            self.is_cut = yield from inbox.pieces(call)
        finally:
            call.cancel()


class OpenAiVisionEngine:
    """One server for all streams; see `voxmesh_vlm.engine.Engine`.

    Raises:
        FailedPrecondition: no server is configured.
    """

    def __init__(self, context: EngineContext, settings: OpenAiVisionSettings) -> None:
        check_address(settings.base_url, f"{PREFIX}BASE_URL")
        self._context = context
        self._settings = settings
        self._connection: _Connection | None = None
        self.info = self._info(context.model or "")

    def load(self) -> None:
        """Reach the server and find out what it can do; does nothing when that is known.

        Raises:
            FailedPrecondition: it has not the model, refuses the key, or takes no pictures.
            Unavailable: it is not there.
        """
        if self._connection is not None:
            return
        loop, calls = LoopThread("openai-vision"), Calls(Server(self._settings), self._settings)
        try:
            abilities = loop.submit(connect(calls, self._settings, self._context.model)).result()
        except BaseException:
            loop.submit(calls.server.close()).result()
            loop.close()
            raise
        calls.server.way = abilities.way
        self._connection = _Connection(loop, calls, abilities)
        self.info = self._info(abilities.model)

    def warm_up(self) -> None:
        """Done by `load`: the server has seen a picture, and its connection is open."""

    def analyze(self, request: AnalysisRequest) -> Analysis:
        """The outputs of one analysis; a step is what has come, or a moment of waiting.

        Raises:
            VoxmeshError: the server failed; see `Calls.ask`.
        """
        if request.task is Task.READ_TEXT:
            return self._read(request)
        return self._answer(request) if request.response_schema is None else self._structured(request)

    def close(self) -> None:
        """Close all connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answer(self, request: AnalysisRequest) -> Analysis:
        reply = _Reply(self._connected, question(request, self._settings.max_pixels))
        for piece in reply:
            yield TextDelta(piece)
        if reply.is_cut:
            yield Truncated()

    def _structured(self, request: AnalysisRequest) -> Analysis:
        asked, schema = question(request, self._settings.max_pixels), request.response_schema or {}
        problem = ""
        for _ in range(_ATTEMPTS):
            reply, text = _Reply(self._connected, asked), ""
            for piece in reply:
                text += piece
                yield _AT_WORK
            value = object_in(text)
            problem = "it holds no JSON object" if value is None else fault(schema, value)
            if value is not None and not problem:
                yield Structured(value)
                return
            if reply.is_cut:
                yield Truncated()
                return
            asked = asked.again(text, problem)
        raise Unavailable(
            f"the server's model gave no answer that satisfies the schema, asked {_ATTEMPTS} times ({problem}); "
            "try another prompt, or a simpler schema"
        )

    def _read(self, request: AnalysisRequest) -> Analysis:
        limits = (self._settings.max_reading_tokens, self._settings.max_pixels)
        is_cut = False
        for index, picture in enumerate(request.pictures):
            height, width = picture.shape[:2]
            scale = self._connected.abilities.scale_of(*sent_size(width, height, self._settings.max_pixels))
            reader = LineReader(index, width, height, scale)
            reply = _Reply(self._connected, reading(spotting_prompt(request.language_codes), picture, *limits))
            for piece in reply:
                yield from reader.feed(piece) or [_AT_WORK]
            yield from reader.end()
            is_cut = is_cut or reply.is_cut
        if is_cut:
            yield Truncated()

    @property
    def abilities(self) -> Abilities:
        """What the server was seen to do; while it is loaded."""
        return self._connected.abilities

    @property
    def _connected(self) -> _Connection:
        if self._connection is None:
            raise RuntimeError("load() comes before the first use")
        return self._connection

    def _info(self, model: str) -> EngineInfo:
        facts = ModelFacts(
            model=model,
            license=self._settings.license,
            device="upstream",
            device_reason="the model runs behind another server",
            parallel=self._settings.max_concurrent_requests,
        )
        return EngineInfo(facts, frozenset(Task), structured_results=True, video=True)

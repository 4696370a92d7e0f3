"""What a session asked of a language model and has no whole answer to: one that takes over goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_routing.backends import Backend

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse


@dataclass(frozen=True, slots=True)
class Generate:
    """An answer is wanted, in place of the one before; numbered in the session."""

    number: int
    request: llm_pb2.Generate


@dataclass(frozen=True, slots=True)
class Prefill:
    """The next answer will most likely begin with this."""

    request: llm_pb2.Generate


@dataclass(frozen=True, slots=True)
class Cancel:
    """An answer is not wanted any more."""

    number: int


Unit = Generate | Prefill | Cancel
Continued = Callable[[llm_pb2.Generate, str], llm_pb2.Generate]


class GenerationReplay:
    """Keeps the generation in progress and what was written of it; answers have the session's numbers.

    Args:
        config: of every call.
        continued: makes a request for the rest of an answer of one for all of it and of what was written.
    """

    def __init__(self, config: llm_pb2.GenerationConfig, continued: Continued) -> None:
        self.settled = 0
        self.calls: list[llm_pb2.ToolCall] = []
        """Those of the answer in progress, which are whole only at its end."""
        self._config, self._continued = Request(config=config), continued
        self._current: Generate | None = None
        self._written = ""
        self._is_answered = False
        self._count = 0
        """Generations of the call that was opened last: the newest has the number before this."""

    @property
    def is_owing(self) -> bool:
        """An answer is not complete."""
        return self._current is not None

    @property
    def awaited(self) -> int | None:
        """The generation that has no answer yet."""
        return self._current.number if self._current is not None and not self._is_answered else None

    def config_for(self, backend: Backend) -> Request:
        """The same for all backends."""
        del backend
        return self._config

    def sent(self, unit: Unit) -> Sequence[Request]:
        """Begin or end a generation; see `voxmesh_routing.failover.Replay`."""
        match unit:
            case Generate():
                before = self._cancel()
                self._current, self._written, self._is_answered = unit, "", False
                return [*before, self._generate(unit)]
            case Cancel(number):
                return self._cancel() if self._current is not None and self._current.number == number else []
            case Prefill(request):
                return [Request(prefill=request)]

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        """The rest of the answer in progress."""
        del ready
        self._count = 0
        if self._current is None:
            return []
        return [self._generate(replace(self._current, request=self._continued(self._current.request, self._written)))]

    def received(self, response: Response) -> Response | None:
        """An answer to the generation in progress; calls are kept until it is complete."""
        kind = response.WhichOneof("streaming_response") or ""
        if self._current is None or getattr(response, kind).generation_index != self._count - 1:
            return None
        self._is_answered = True
        getattr(response, kind).generation_index = self._current.number
        match kind:
            case "text_delta":
                self._written += response.text_delta.text
            case "tool_call":
                self.calls.append(response.tool_call.tool_call)
            case "finished":
                self._current = None
                self.settled += 1
            case _:
                pass
        return response if kind in {"text_delta", "finished"} else None

    def _generate(self, unit: Generate) -> Request:
        self._count += 1
        self.calls = []
        return Request(generate=unit.request)

    def _cancel(self) -> Sequence[Request]:
        was_running, self._current = self._current is not None, None
        return [Request(cancel=llm_pb2.Cancel())] if was_running else []

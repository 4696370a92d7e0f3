"""Silero VAD and Smart Turn as an engine of the turn detection service."""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engines import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import InvalidSourceError, ModelSource, ModelStore, parse_source
from voxmesh_turn.engine import DetectionOptions, EngineInfo
from voxmesh_turn_silero_smart_turn.session import SileroSession
from voxmesh_turn_silero_smart_turn.smart_turn import DEFAULT_SOURCE, SAMPLE_RATE_HERTZ, TURN_S, SmartTurn
from voxmesh_turn_silero_smart_turn.voice import Detectors

MODEL = "silero-v6+smart-turn-v3.2"


class SileroSmartTurn:
    """One Smart Turn for all streams, one detector a stream; see `voxmesh_turn.engine.Engine`."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._source = _source(context.model)
        self._detectors = Detectors()
        self._smart_turn: SmartTurn | None = None
        self.info = EngineInfo(_facts(self._source, context.device), SAMPLE_RATE_HERTZ)

    def load(self) -> None:
        """Fetch Smart Turn and load it; does nothing when it is loaded."""
        if self._smart_turn is None:
            path = ModelStore(self._context.cache_dir).fetch(self._source)
            self._smart_turn = SmartTurn(path, self._context.threads)

    def warm_up(self) -> None:
        """Judge silence once, and have the first stream's detector ready."""
        self._loaded().warm_up()
        self._detectors.give_back(self._detectors.take())

    def open(self, options: DetectionOptions) -> SileroSession:
        """A session for one stream."""
        return SileroSession(options, self._detectors, round(TURN_S * SAMPLE_RATE_HERTZ))

    def judge(self, turns: Sequence[Samples]) -> Sequence[float]:
        """The probability that each turn is over."""
        smart_turn = self._loaded()
        return [smart_turn.probability(turn) for turn in turns]

    def close(self) -> None:
        """Free the models."""
        self._smart_turn = None
        self._detectors.clear()

    def _loaded(self) -> SmartTurn:
        if self._smart_turn is None:
            raise RuntimeError("load() comes before the first use")
        return self._smart_turn


def _source(wanted: str | None) -> ModelSource:
    try:
        return DEFAULT_SOURCE if wanted in {None, MODEL} else parse_source(str(wanted))
    except InvalidSourceError as error:
        raise FailedPrecondition("model", str(wanted), str(error)) from error


def _facts(source: ModelSource, device: str) -> ModelFacts:
    is_default = source == DEFAULT_SOURCE
    return ModelFacts(
        model=MODEL if is_default else f"silero-v6+{source}",
        engine="silero_smart_turn",
        distribution="voxmesh-turn-silero-smart-turn",
        license="MIT AND BSD-2-Clause" if is_default else "unknown",
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
    )

"""Silero VAD and Smart Turn as an engine of the turn detection service."""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import InvalidSourceError, ModelSource, ModelStore, parse_source
from voxmesh_turn.engine import DetectionOptions, EngineInfo
from voxmesh_turn_silero_smart_turn.session import SileroSession
from voxmesh_turn_silero_smart_turn.settings import SileroSmartTurnSettings
from voxmesh_turn_silero_smart_turn.smart_turn import DEFAULT_SOURCE, SAMPLE_RATE_HERTZ, TURN_S, SmartTurn
from voxmesh_turn_silero_smart_turn.voice import Detectors
from voxmesh_turn_silero_smart_turn.words import SmolWords

MODEL = "silero-v6+smart-turn-v3.2"
LICENSE = "MIT AND BSD-2-Clause"


class SileroSmartTurn:
    """One Smart Turn for all streams, one detector a stream; see `voxmesh_turn.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: SileroSmartTurnSettings) -> None:
        self._context = context
        self._source = _source(context.model)
        self.words = SmolWords(context, settings.words_model) if settings.words else None
        self._detectors = Detectors()
        self._smart_turn: SmartTurn | None = None
        facts = _facts(self._source, context.device, self.words)
        self.info = EngineInfo(facts, SAMPLE_RATE_HERTZ)

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


def _facts(source: ModelSource, device: str, words: SmolWords | None) -> ModelFacts:
    model, license_name = (MODEL, LICENSE) if source == DEFAULT_SOURCE else (f"silero-v6+{source}", "unknown")
    if words is not None:
        model, license_name = f"{model}+{words.name}", f"{license_name} AND {words.license}"
    return ModelFacts(
        model=model,
        license=license_name,
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
    )

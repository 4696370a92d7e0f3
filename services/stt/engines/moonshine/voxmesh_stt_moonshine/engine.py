"""Moonshine as an engine of the speech-to-text service."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.outcomes import Outcome, ignored
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances, UtteranceSession, latency_outcome
from voxmesh_stt_moonshine.model import SAMPLE_RATE_HERTZ, Model, find_model
from voxmesh_stt_moonshine.settings import MoonshineSettings

LANGUAGE = "en"
STEP_S = 0.032
"""Of voice activity detection, which finds the end of speech: it waits for no more audio than that."""


class MoonshineEngine:
    """One model for all streams; see `voxmesh_stt.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: MoonshineSettings) -> None:
        self._context = context
        self._settings = settings
        self._folder = find_model(context.model)
        self._model: Model | None = None
        self._utterances = Utterances[None](self._decode, settings)
        self.info = EngineInfo(_facts(self._folder.name, self._folder.license, context.device), step_s=STEP_S)

    def load(self) -> None:
        """Load the model; does nothing when it is loaded."""
        if self._model is None:
            self._model = Model(self._folder, self._context.threads)

    def warm_up(self) -> None:
        """Decode a second of silence."""
        self._loaded().transcribe(np.zeros(SAMPLE_RATE_HERTZ, np.float32))

    def open(self, options: RecognitionOptions) -> UtteranceSession[None]:
        """A session for one stream."""
        return self._utterances.open(options, None, _outcomes(options, self._settings))

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio; each step on its own, since the model does not batch."""
        return self._utterances.step(steps)

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def _decode(self, requests: Sequence[DecodeRequest[None]]) -> list[Hypothesis]:
        model = self._loaded()
        return [Hypothesis(model.transcribe(request.samples), language_code=LANGUAGE) for request in requests]

    def _loaded(self) -> Model:
        if self._model is None:
            raise RuntimeError("load() comes before the first use")
        return self._model


def _facts(model: str, license_name: str, device: str) -> ModelFacts:
    return ModelFacts(
        model=model,
        license=license_name,
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
        language_codes=(LANGUAGE,),
    )


def _outcomes(options: RecognitionOptions, settings: MoonshineSettings) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if options.phrases:
        outcomes.append(ignored("config.biasing.phrases", "the model takes no phrases to favour"))
    if options.context:
        outcomes.append(ignored("config.biasing.context", "the model takes no context"))
    if options.max_latency_s is not None:
        outcomes.append(latency_outcome(options.max_latency_s, settings))
    return outcomes

"""Recognition with a cache-aware model: every chunk is computed once, those of many streams together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript
from voxmesh_stt_nemotron.latency import LatencyMode, choose, latency_modes, outcome
from voxmesh_stt_nemotron.mel import MelFrontend
from voxmesh_stt_nemotron.phrases import context_outcomes, phrase_outcomes
from voxmesh_stt_nemotron.session import SAMPLE_RATE_HERTZ, Rules, StreamingSession
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.stepper import Stepper
from voxmesh_stt_nemotron.stream import Stream
from voxmesh_stt_nemotron.transducer import Transducer
from voxmesh_stt_nemotron.trees import NO_TREE, Trees
from voxmesh_stt_nemotron.vocabulary import Vocabulary


def can_stream(model: Any) -> bool:
    """Whether a model's encoder was trained with a bounded look-ahead, and its frames stand for themselves."""
    return (
        getattr(model, "joint", None) is not None
        and getattr(model.encoder, "att_context_style", "") == "chunked_limited"
        and not model.cfg.decoding.get("durations", None)
        and model.cfg.preprocessor.get("normalize", None) in {None, "NA", "None"}
    )


class StreamingRecognizer:
    """All streams of one cache-aware model."""

    def __init__(self, model: Any, vocabulary: Vocabulary, settings: NemotronSettings, info: EngineInfo) -> None:
        device = info.facts.device
        self.model = model
        self._settings = settings
        self._vocabulary = vocabulary
        self._subsampling: int = model.encoder.subsampling_factor
        self._frontend = MelFrontend(model, device)
        frame_s = self._subsampling * self._frontend.hop_samples / SAMPLE_RATE_HERTZ
        self.modes = latency_modes(model.encoder, frame_s)
        transducer = Transducer(model, cuda_graphs=settings.cuda_graphs)
        self._stepper = Stepper(model, self._frontend, transducer, device)
        self.trees = Trees(transducer, vocabulary, settings.phrase_weight, settings.unused_phrase_lists)
        self._rules = Rules(
            frame_s=frame_s,
            pause_frames=round(settings.pause_s / frame_s),
            max_frames=round(settings.max_utterance_s / frame_s),
            final_silence=round(settings.final_silence_s * SAMPLE_RATE_HERTZ),
            language_code=info.facts.language_codes[0] if len(info.facts.language_codes) == 1 else "",
        )
        self.info = replace(
            info, streaming=True, word_time_offsets=True, phrase_biasing=True, step_s=self.modes[0].latency_s
        )

    def warm_up(self) -> None:
        """Run a first and a later chunk in every mode."""
        for mode in self.modes:
            session = self.open(RecognitionOptions(max_latency_s=mode.latency_s))
            noise = np.random.default_rng(0).standard_normal(round((2 * mode.latency_s + 0.1) * SAMPLE_RATE_HERTZ))
            self.step([Step(session, (0.01 * noise).astype(np.float32), is_final=True)])
            session.close()

    def open(self, options: RecognitionOptions) -> StreamingSession:
        """A session for one stream."""
        wanted_s = self._settings.latency_s if options.max_latency_s is None else options.max_latency_s
        mode = choose(self.modes, wanted_s)
        tree = self.trees.take(options.phrases)
        number = NO_TREE if tree is None else tree.number
        outcomes = [*phrase_outcomes(options, tree, even=False), *context_outcomes(options)]
        return StreamingSession(
            lambda: Stream(mode, self._frontend, self._subsampling, number),
            self._vocabulary,
            self._rules,
            [*outcomes, *_latency_outcomes(options, mode)],
            interim_results=options.interim_results,
            free=lambda: self.trees.give_back(options.phrases),
        )

    def step(self, steps: Sequence[Step]) -> list[list[Transcript]]:
        """Take new audio of different sessions, chunk by chunk until none is due."""
        # The engine is given back only sessions that it opened.
        sessions = [cast("StreamingSession", step.session) for step in steps]
        for session, step in zip(sessions, steps, strict=True):
            session.feed(step.samples, is_final=step.is_final)
        of_stream = {id(session.stream): session for session in sessions}
        while done := self._stepper.step([session.stream for session in sessions]):
            for stream, tokens in done:
                of_stream[id(stream)].hear(tokens)
        return [session.transcripts(is_final=step.is_final) for session, step in zip(sessions, steps, strict=True)]

    def close(self) -> None:
        """Free the trees that no stream uses."""
        self.trees.close()


def _latency_outcomes(options: RecognitionOptions, mode: LatencyMode) -> list[Outcome]:
    return [] if options.max_latency_s is None else [outcome(mode, options.max_latency_s)]

"""Qwen3-TTS behind the service's seam: one clause in, its audio out while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.devices import OnDevice
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_tts.engine import ClauseLimits, EngineInfo, SynthesisOptions, VoiceReference
from voxmesh_tts_qwen_tts.checkpoint import PUBLISHED
from voxmesh_tts_qwen_tts.recordings import FIELD, checked
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings
from voxmesh_tts_qwen_tts.trimming import Trimmer
from voxmesh_tts_qwen_tts.voices import Kind, follows_instructions, voices_of

if TYPE_CHECKING:
    # Importing the libraries takes five seconds, in which the server should already say that it loads.
    from voxmesh_tts_qwen_tts.model import Manner, QwenTts

CLAUSES = ClauseLimits(first_minimum=12, first_maximum=80, minimum=60, maximum=200)
"""Speech begins after 0.32 s of any clause, and longer clauses are spoken with one melody."""


class QwenTtsEngine:
    """See `voxmesh_tts.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: QwenTtsSettings | None = None) -> None:
        self._context = context
        self._settings = QwenTtsSettings() if settings is None else settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._loaded: OnDevice[QwenTts] | None = None

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do."""
        loaded, model = self._ready(), self._ready().model
        facts = ModelFacts(
            model=self._checkpoint.name,
            license=self._checkpoint.license,
            device=loaded.device,
            device_reason=loaded.reason,
            language_codes=tuple(model.languages),
        )
        return EngineInfo(
            facts=facts,
            sample_rate_hertz=model.hertz,
            voices=voices_of(model.kind, model.speakers, model.languages),
            voice_cloning=model.kind is Kind.CLONE,
            instruction=follows_instructions(model.kind, model.size),
            clause_limits=CLAUSES,
        )

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: they are none of such a model, or the operator's device fails.
        """
        if self._loaded is None:
            from voxmesh_tts_qwen_tts.loading import load_model  # noqa: PLC0415 # as above

            self._loaded = load_model(self._checkpoint, self._context, self._settings)

    def warm_up(self) -> None:
        """Speak a word, with the voice of a tone where the model has none of its own."""
        info = self.info
        tone: Samples = (np.sin(np.arange(info.sample_rate_hertz) / 20) / 4).astype(np.float32)
        reference = VoiceReference(tone, "") if info.voice_cloning else None
        voice = info.voices[0]
        session = self.open(SynthesisOptions(voice.name, voice.language_codes[0], voice_reference=reference))
        for _ in session.synthesize("Hello."):
            pass

    def open(self, options: SynthesisOptions) -> QwenTtsSession:
        """A session for one stream; takes the voice of its recording, if that is a new one.

        Raises:
            InvalidArgument: the model needs a recording and has none, or it is silent.
        """
        return QwenTtsSession(lambda: self._ready().model, options, self._settings)

    def close(self) -> None:
        """Free the model."""
        self._loaded = None

    def _ready(self) -> OnDevice[QwenTts]:
        if self._loaded is None:
            raise RuntimeError("load() comes before the first use")
        return self._loaded


class QwenTtsSession:
    """See `voxmesh_tts.engine.Session`; it holds how to speak, and not the model."""

    def __init__(self, model: Callable[[], QwenTts], options: SynthesisOptions, settings: QwenTtsSettings) -> None:
        self._model = model
        self._options = options
        self._transcript = ""
        self._manner = self._manner_of(options, settings)

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How rate, instruction and recording were taken."""
        outcomes: list[Outcome] = []
        if self._options.speaking_rate is not None:
            outcomes.append(ignored("config.speaking_rate", self._why_no_rate()))
        if self._options.instruction:
            outcomes.append(applied("config.instruction"))
        if self._options.voice_reference is not None:
            how = "the voice by its sound alone; it is more alike when the transcript says what is spoken"
            outcomes.append(applied(FIELD) if self._transcript else approximated(FIELD, how))
        return outcomes

    def synthesize(self, clause: str) -> Iterator[Samples]:
        """Speak one clause; a step is a frame of 80 ms, and audio comes every 4 to 24 of them."""
        model = self._model()
        text, trimmer = model.unmarked(clause), Trimmer(model.hertz)
        if not text:
            return
        for piece in model.speak(text, self._manner):
            yield trimmer.feed(piece)
        yield trimmer.end(clause)

    def close(self) -> None:
        """Nothing to free."""

    def _manner_of(self, options: SynthesisOptions, settings: QwenTtsSettings) -> Manner:
        from voxmesh_tts_qwen_tts.model import Manner  # noqa: PLC0415 # as above

        model = self._model()
        instruction = model.unmarked(options.instruction)
        if model.kind is Kind.DESIGN:
            instruction = instruction or settings.design
        reference, recording = options.voice_reference, None
        if reference is not None:
            self._transcript = model.unmarked(reference.transcript)
            recording = model.recorded.voice(checked(reference.samples, model.hertz), self._transcript)
        elif model.kind is Kind.CLONE:
            problem = "must be set, for the model has no voice of its own; send 3 to 30 s of one person who speaks"
            raise InvalidArgument(FIELD, f"{problem}, or use a CustomVoice model")
        return Manner(options.voice, model.languages[options.language_code], instruction, recording)

    def _why_no_rate(self) -> str:
        model = self._model()
        why = "the model chooses its own pace"
        return f"{why}; ask for another in the instruction" if follows_instructions(model.kind, model.size) else why

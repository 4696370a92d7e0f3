"""NeMo models as an engine of the speech-to-text service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from voxmesh_runtime.devices import load_on_first
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import ModelStore
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Session, Step, Transcript
from voxmesh_stt_nemotron.loading import accelerator, restore
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.source import find_model, languages_in_name


class Recognizer(Protocol):
    """How a kind of model recognises: chunk by chunk, or whole utterances."""

    @property
    def info(self) -> EngineInfo:
        """What it can do."""
        ...

    def warm_up(self) -> None:
        """Run once."""
        ...

    def open(self, options: RecognitionOptions) -> Session:
        """A session for one stream."""
        ...

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio of different sessions."""
        ...

    def close(self) -> None:
        """Free what outlives sessions."""
        ...


class NemotronEngine:
    """One model for all streams; see `voxmesh_stt.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: NemotronSettings) -> None:
        self._context = context
        self._settings = settings
        self._model = find_model(context.model)
        self._recognizer: Recognizer | None = None
        self._facts = ModelFacts(
            model=self._model.name,
            license=self._model.license,
            language_codes=settings.languages or languages_in_name(self._model.name),
        )

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do; complete after `load`."""
        if self._recognizer is None:
            return EngineInfo(self._facts, max_batch_size=self._settings.max_batch_size)
        return self._recognizer.info

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded."""
        if self._recognizer is not None:
            return
        context = self._context
        path = self._model.fetch(ModelStore(context.cache_dir))
        loaded = load_on_first(context.device, accelerator, lambda device: restore(path, device, context.threads))
        facts = replace(self._facts, device=loaded.device, device_reason=loaded.reason)
        info = EngineInfo(facts, max_batch_size=self._settings.max_batch_size)
        self._recognizer = _recognizer(loaded.model, self._settings, info)

    def warm_up(self) -> None:
        """Recognise noise."""
        self._loaded().warm_up()

    def open(self, options: RecognitionOptions) -> Session:
        """A session for one stream."""
        return self._loaded().open(options)

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio of different sessions."""
        return self._loaded().step(steps)

    def close(self) -> None:
        """Free the model."""
        if self._recognizer is not None:
            self._recognizer.close()
            self._recognizer = None

    def _loaded(self) -> Recognizer:
        if self._recognizer is None:
            raise RuntimeError("load() comes before the first use")
        return self._recognizer


def _recognizer(model: Any, settings: NemotronSettings, info: EngineInfo) -> Recognizer:
    # These import PyTorch, which takes seconds.
    from voxmesh_stt_nemotron.streaming import StreamingRecognizer, can_stream  # noqa: PLC0415
    from voxmesh_stt_nemotron.vocabulary import Vocabulary  # noqa: PLC0415
    from voxmesh_stt_nemotron.whole import WholeRecognizer  # noqa: PLC0415

    vocabulary = Vocabulary(model, info.facts.model)
    if not info.facts.language_codes:
        info = replace(info, facts=replace(info.facts, language_codes=vocabulary.languages))
    kind = StreamingRecognizer if can_stream(model) else WholeRecognizer
    return kind(model, vocabulary, settings, info)

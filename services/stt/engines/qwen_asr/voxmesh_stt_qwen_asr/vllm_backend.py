"""Streaming on vLLM: the package's own, one stream after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qwen_asr import Qwen3ASRModel

from voxmesh_runtime.audio import Samples
from voxmesh_stt_qwen_asr.backend import Heard, Speech, long_enough
from voxmesh_stt_qwen_asr.languages import ALL_NAMES
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.text import parsed


def is_installed() -> bool:
    """Whether vLLM can be imported."""
    return find_spec("vllm") is not None


def load_vllm(folder: Path, settings: QwenAsrSettings) -> VllmBackend:
    """Load a checkpoint into a vLLM engine, on the GPU that vLLM picks."""
    model = Qwen3ASRModel.LLM(
        model=str(folder), max_new_tokens=settings.max_new_tokens, gpu_memory_utilization=settings.vllm_memory_share
    )
    return VllmBackend(model, settings)


@dataclass(slots=True)
class VllmTrack:
    """One stream; see `backend.Track`."""

    context: str
    language: str | None
    utterance: int = -1
    streaming: Any = None
    """The package's `ASRStreamingState` of the utterance."""
    samples: int = 0

    def forget(self) -> None:
        """Free the utterance's audio."""
        self.utterance, self.streaming, self.samples = -1, None, 0

    def close(self) -> None:
        """The same: there is no more."""
        self.forget()


class VllmBackend:
    """The package's model and streaming; see `backend.Backend`.

    Args:
        model: a `Qwen3ASRModel` of the package, made by its `LLM`.
        settings: how streams roll back.
    """

    languages = ALL_NAMES

    def __init__(self, model: Any, settings: QwenAsrSettings) -> None:
        self._model = model
        self._settings = settings
        self.tokenizer = model.processor.tokenizer

    def track(self, context: str, language: str | None) -> VllmTrack:
        """A stream."""
        return VllmTrack(context, language)

    def decode(self, speeches: Sequence[Speech]) -> list[Heard]:
        """Decode utterances one after another."""
        return [self._heard(speech) for speech in speeches]

    def _heard(self, speech: Speech) -> Heard:
        track: VllmTrack = speech.track
        padded = long_enough(speech.samples)
        if len(padded) > len(speech.samples):
            # The silence behind it must not stay in front of what follows.
            return self._fed(self._begin(track), padded, track.language)
        if track.utterance != speech.utterance or len(speech.samples) < track.samples:
            track.utterance, track.samples, track.streaming = speech.utterance, 0, self._begin(track)
        new = speech.samples[track.samples :]
        track.samples = len(speech.samples)
        return self._fed(track.streaming, new, track.language)

    def _fed(self, streaming: Any, samples: Samples, language: str | None) -> Heard:
        self._model.streaming_transcribe(samples, streaming)
        # What is left of the chunk is decoded too: the session asks when it is worth it.
        self._model.finish_streaming_transcribe(streaming)
        found, text = parsed(streaming._raw_decoded, language)  # noqa: SLF001 # its text may hold half a character
        return Heard(text, found)

    def _begin(self, track: VllmTrack) -> Any:
        return self._model.init_streaming_state(
            context=track.context,
            language=track.language,
            unfixed_chunk_num=self._settings.unfixed_chunk_num,
            unfixed_token_num=self._settings.unfixed_token_num,
            chunk_size_sec=self._settings.interim_interval_s,
        )

"""Streaming on transformers, at a cost for each decode that does not grow with the utterance.

    [context | 8 s window | 8 s window | open window | text so far, rolled back] -> the rest of the text
     kept: keys and values               new in every decode

The package streams on vLLM alone, one stream at a time, and gives the model all audio again each
time. Here several streams are decoded together, and what lies before the open window is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from qwen_asr import Qwen3ASRModel

from voxmesh_stt_qwen_asr.backend import SAMPLE_RATE_HERTZ, Heard, Speech, long_enough
from voxmesh_stt_qwen_asr.decoder import GreedyDecoder, Kept, Row, Written
from voxmesh_stt_qwen_asr.encoder import WindowEncoder
from voxmesh_stt_qwen_asr.languages import ALL_NAMES
from voxmesh_stt_qwen_asr.mel import HOP_SAMPLES, SILENT, LogMel, frame_count, is_complete
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.text import parsed, rolled_back, without_repetitions

_END_TOKENS = ("<|im_end|>", "<|endoftext|>")
_AUDIO = "<|audio_pad|>"
_SPARE_TOKENS = 32
_MOST_TOKENS_PER_S = 24
"""More than anybody says; a model that is stuck writes no more than that."""


def load_transformers(folder: Path, device: str, settings: QwenAsrSettings) -> TransformersBackend:
    """Load a checkpoint's model and processor on a device."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    model = Qwen3ASRModel.from_pretrained(str(folder), dtype=dtype, device_map=device, attn_implementation="sdpa")
    return TransformersBackend(model, settings)


@dataclass(slots=True)
class _Progress:
    """What the next decode of an utterance goes on from."""

    utterance: int
    samples: int = 0
    windows: int = 0
    """Finished windows, whose keys and values are kept."""
    loudest: float = SILENT
    """Of the finished windows' log-mel."""
    kept: Kept | None = None
    raw: str = ""
    decodes: int = 0


@dataclass(slots=True)
class TransformersTrack:
    """One stream; see `backend.Track`."""

    head_ids: list[int]
    """Context and instructions up to where the audio begins."""
    tail: str
    """What follows the audio, up to where the answer begins."""
    language: str | None
    prompt: Kept | None = None
    """Keys and values of the head, the same for all utterances."""
    progress: _Progress = field(default_factory=lambda: _Progress(-1))

    def forget(self) -> None:
        """Free all but the prompt's keys and values."""
        self.progress = _Progress(-1)

    def close(self) -> None:
        """Free those too."""
        self.forget()
        self.prompt = None


@dataclass(frozen=True, slots=True)
class _Job:
    """A speech with the windows that it must have encoded: finished ones first, then the open one."""

    speech: Speech
    prefix: str
    finished: int
    loudest: float
    windows: list[torch.Tensor]


class TransformersBackend:
    """The package's model, stepped by our own streaming; see `backend.Backend`.

    Args:
        model: a `Qwen3ASRModel` of the package.
        settings: how streams roll back and how much they may write.
    """

    def __init__(self, model: Any, settings: QwenAsrSettings) -> None:
        thinker = model.model.thinker.eval()
        self._model = model
        self._settings = settings
        self._mel = LogMel(model.processor.feature_extractor, str(thinker.device))
        self._encoder = WindowEncoder(thinker.audio_tower)
        self._decoder = GreedyDecoder(thinker, _end_ids(model))
        self._window_samples = self._encoder.window_frames * HOP_SAMPLES
        known = model.model.get_support_languages() or ALL_NAMES
        self.languages = tuple(name for name in known if name in ALL_NAMES)
        self.tokenizer = model.processor.tokenizer

    def track(self, context: str, language: str | None) -> TransformersTrack:
        """A stream; `context` must hold none of the tokenizer's added tokens."""
        prompt = self._model._build_text_prompt(context=context, force_language=language)  # noqa: SLF001 # no public way
        head, tail = prompt.split(_AUDIO)
        return TransformersTrack(self.tokenizer.encode(head), tail, language)

    @torch.inference_mode()
    def decode(self, speeches: Sequence[Speech]) -> list[Heard]:
        """Decode utterances of 1 or more different streams."""
        jobs = [self._job(speech) for speech in speeches]
        encoded = iter(self._encoder.encode([window for job in jobs for window in job.windows]))
        rows = [self._row(job, [next(encoded) for _ in job.windows]) for job in jobs]
        return [self._heard(job, written) for job, written in zip(jobs, self._decoder.write(rows), strict=True)]

    def _job(self, speech: Speech) -> _Job:
        """What is new since the last decode, as log-mel windows."""
        progress = self._progress(speech)
        samples = long_enough(speech.samples)
        frames, size = frame_count(len(samples)), self._encoder.window_frames
        done = progress.windows
        while is_complete((done + 1) * size - 1, len(samples)):
            done += 1
        begins = range(progress.windows * size, frames, size)
        mels = [self._mel.frames(samples, begin, min(begin + size, frames)) for begin in begins]
        peaks = [float(mel.max()) for mel in mels]
        windows = [self._mel.scaled(mel, max([progress.loudest, *peaks])) for mel in mels]
        loudest = max([progress.loudest, *peaks[: done - progress.windows]])
        return _Job(speech, self._prefix(progress), done - progress.windows, loudest, windows)

    def _progress(self, speech: Speech) -> _Progress:
        """Where the utterance stands; a new one stands at its beginning, and one that was cut short goes back."""
        track: TransformersTrack = speech.track
        known, count = track.progress, len(speech.samples)
        if known.utterance != speech.utterance or count < known.samples:
            track.progress = _Progress(speech.utterance, kept=track.prompt)
        track.progress.samples = count
        return track.progress

    def _prefix(self, progress: _Progress) -> str:
        if progress.decodes < self._settings.unfixed_chunk_num:
            return ""
        return rolled_back(self.tokenizer, progress.raw, self._settings.unfixed_token_num)

    def _row(self, job: _Job, encoded: list[torch.Tensor]) -> Row:
        track, progress = job.speech.track, job.speech.track.progress
        head = [] if progress.kept is not None else [self._decoder.embed(track.head_ids)]
        tail = self._decoder.embed(self.tokenizer.encode(track.tail + job.prefix))
        keep = sum(map(len, [*head, *encoded[: job.finished]]))
        seconds = len(job.speech.samples) / SAMPLE_RATE_HERTZ
        most_tokens = min(self._settings.max_new_tokens, _SPARE_TOKENS + round(_MOST_TOKENS_PER_S * seconds))
        return Row(progress.kept, torch.cat([*head, *encoded, tail]), keep, most_tokens)

    def _heard(self, job: _Job, written: Written) -> Heard:
        """Note what the next decode goes on from, and tell what was heard."""
        track, progress = job.speech.track, job.speech.track.progress
        answer = self.tokenizer.decode(written.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if track.prompt is None and written.kept is not None:
            track.prompt = written.kept[:, :, : len(track.head_ids)].clone()
        progress.kept = written.kept
        progress.windows += job.finished
        progress.loudest = job.loudest
        progress.raw = without_repetitions(job.prefix + answer)
        progress.decodes += 1
        language, text = parsed(progress.raw, track.language)
        return Heard(text, language)


def _end_ids(model: Any) -> frozenset[int]:
    """Tokens that end an answer: the package names those of its own vocabulary by number, others have others."""
    tokenizer = model.processor.tokenizer
    configured = getattr(model.model.generation_config, "eos_token_id", None)
    ids = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    ids += tokenizer.convert_tokens_to_ids(list(_END_TOKENS))
    return frozenset(token for token in ids if token is not None)

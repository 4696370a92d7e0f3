"""A recording of a voice as the model takes it: without silence around it, at most 12 s, loud enough, with its pace."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_tts.engine import VoiceReference
from voxmesh_tts.silence import trimmed
from voxmesh_tts_indic_f5.checkpoint import HERTZ
from voxmesh_tts_indic_f5.sounds import beginning, sayable, sounds

if TYPE_CHECKING:
    # Its import takes seconds, in which the server should already say that it loads.
    import torch

MAX_S = 12.0
"""What the library cuts to; a longer one leaves too little of the 22 s that the model speaks well."""
MIN_S = 0.5
_EARLIEST_CUT_S = 6.0
_PAUSE_S = 0.2
_FRAME_S = 0.02
_TAIL_S = 0.05
"""Silence behind a recording, in which its last sound ends."""
_RMS = 0.1
_AUDIBLE = 0.1
"""Of a recording's own loudness: what is softer is a pause."""
_SLOWEST, _FASTEST = 3.0, 40.0
"""Sounds a second; people say 8 to 20."""

Part = Literal["audio", "transcript"]


class UnusableReference(Exception):
    """A recording or its transcript is of no use; the message says what is wrong and what to do."""

    def __init__(self, part: Part, problem: str) -> None:
        super().__init__(f"{part}: {problem}")
        self.part: Part = part
        self.problem = problem


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that was made fit for the model."""

    samples: Samples
    text: str
    """What is said in it, ending as the model was trained to see it end."""
    sound_s: float
    """How long a sound lasts in it."""
    cut_s: float | None
    """Where it was cut because it was too long."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A voice, ready to speak."""

    mel: torch.Tensor
    """See `voxmesh_tts_indic_f5.model.IndicF5.mel`."""
    text: str
    sound_s: float
    duration_s: float
    cut_s: float | None


def prepared(reference: VoiceReference) -> Recording:
    """The recording as the model takes it.

    Raises:
        UnusableReference: nothing is heard in it, or the transcript is not of it.
    """
    text = sayable(reference.transcript)
    if not sounds(text):
        problem = "must say what is said in the recording, in its own script: the model learns the voice from both"
        raise UnusableReference("transcript", problem)
    speech = trimmed(reference.samples, HERTZ)
    if len(speech) < MIN_S * HERTZ:
        problem = f"holds {len(speech) / HERTZ:.2g} s of sound; the model needs {MIN_S:g} s of speech at least"
        raise UnusableReference("audio", problem)
    cut = _cut(speech)
    if cut is not None:
        text = beginning(text, _voiced_share(speech, cut))
        speech = trimmed(speech[:cut], HERTZ)
    sound_s = _sound_s(speech, text)
    samples = np.concatenate([_loud(speech), np.zeros(round(_TAIL_S * HERTZ), np.float32)])
    return Recording(samples, _ended(text), sound_s, None if cut is None else cut / HERTZ)


def _sound_s(speech: Samples, text: str) -> float:
    duration_s = len(speech) / HERTZ
    pace = sounds(text) / duration_s
    if not _SLOWEST <= pace <= _FASTEST:
        much = "much" if pace > _FASTEST else "little"
        problem = (
            f"is too {much} for {duration_s:.3g} s of sound; it must be what is said in the recording, word by word"
        )
        raise UnusableReference("transcript", problem)
    return 1 / pace


def _cut(speech: Samples) -> int | None:
    """Where a recording ends that is too long: in the quietest moment before; None where it is not."""
    if len(speech) <= MAX_S * HERTZ:
        return None
    loudness = _loudness(speech[: round(MAX_S * HERTZ)])
    width, first = round(_PAUSE_S / _FRAME_S), round(_EARLIEST_CUT_S / _FRAME_S)
    means = np.convolve(np.square(loudness[first:]), np.ones(width), mode="valid")
    # The last one of several that are as quiet.
    quietest = len(means) - 1 - int(np.argmin(means[::-1]))
    return round((first + quietest + width / 2) * _FRAME_S * HERTZ)


def _voiced_share(speech: Samples, cut: int) -> float:
    """How much of what is said in a recording comes before the cut."""
    is_voiced = _loudness(speech) > _AUDIBLE * _rms(speech)
    return float(is_voiced[: round(cut / HERTZ / _FRAME_S)].sum() / is_voiced.sum())


def _loudness(samples: Samples) -> np.ndarray:
    frame = round(_FRAME_S * HERTZ)
    return np.sqrt(np.mean(np.square(samples[: len(samples) // frame * frame].reshape(-1, frame)), axis=1))


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def _loud(samples: Samples) -> Samples:
    """Made as loud as what the model was trained on, if it is softer; the speech is as loud as the recording."""
    return samples * np.float32(max(1.0, _RMS / _rms(samples)))


def _ended(text: str) -> str:
    return f"{text.removesuffix('.')}. "


class References:
    """Callers' recordings by their digest, the last used ones; neither sound nor transcript is kept.

    Args:
        mel: see `voxmesh_tts_indic_f5.model.IndicF5.mel`.
        most: kept.
    """

    def __init__(self, mel: Callable[[Samples], torch.Tensor], most: int) -> None:
        self._mel = mel
        self._most = most
        self._kept: OrderedDict[bytes, Reference] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, reference: VoiceReference) -> Reference:
        """The voice of a recording, prepared now or before.

        Raises:
            UnusableReference: see `prepared`.
        """
        key = _digest(reference)
        found = self._kept.pop(key, None)
        self._kept[key] = self.made(prepared(reference)) if found is None else found
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._kept[key]

    def made(self, recording: Recording) -> Reference:
        """The voice of a prepared recording."""
        mel = self._mel(recording.samples)
        return Reference(mel, recording.text, recording.sound_s, len(recording.samples) / HERTZ, recording.cut_s)


def _digest(reference: VoiceReference) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(reference.samples, np.float32).tobytes())
    digest.update(reference.transcript.encode("utf-8", "surrogatepass"))
    return digest.digest()

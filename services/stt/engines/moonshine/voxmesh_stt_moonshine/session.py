"""One stream: frames in, and decodes only when they are worth their cost.

    idle ──voiced frame──► speaking ──a pause, or too long──► final, idle
                              │ 0.4 s of new speech: interim, if the pace allows
                              └ 0.2 s of silence: decode now what a finalize would decode

The last is why a final result mostly costs nothing: more silence does not change what is
decoded, so when `finalize` comes its text is already there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import Transcript
from voxmesh_stt_moonshine.model import SAMPLE_RATE_HERTZ, Model
from voxmesh_stt_moonshine.pace import Pace
from voxmesh_stt_moonshine.settings import MoonshineSettings
from voxmesh_stt_moonshine.utterance import FRAMES_PER_S, Utterance
from voxmesh_stt_moonshine.voice import FRAME_SAMPLES, VoiceActivity

LANGUAGE = "en"

_PAUSES = ((0.75, 0.2), (0.4, 0.5))
"""From which share of the longest utterance on a pause of how many seconds ends it."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What the speech of the utterance in progress gave when it was last decoded."""

    frames: int = 0
    text: str = ""


class MoonshineSession:
    """State of one stream; see `voxmesh_stt.engine.Session`."""

    def __init__(
        self,
        model: Model,
        voice: VoiceActivity,
        pace: Pace,
        settings: MoonshineSettings,
        outcomes: Sequence[Outcome],
        *,
        interim_results: bool,
    ) -> None:
        self.outcomes = outcomes
        self._model = model
        self._voice = voice
        self._pace = pace
        self._settings = settings
        self._interim_results = interim_results
        self._samples = 0
        self._rest = np.zeros(0, np.float32)
        self._utterance = Utterance()
        self._decoded = _Decoded()
        self._shown = ""

    def feed(self, samples: Samples) -> Iterator[Transcript]:
        """Take audio of the utterance in progress, and give what is new."""
        yield from self._hear(samples)
        utterance = self._utterance
        if not utterance.has_speech or self._decoded.frames == utterance.speech_frames:
            return
        if utterance.is_settled:
            self._decode(utterance)
        elif self._interim_is_due():
            began = self._pace.now()
            self._decode(utterance)
            self._pace.spent(began)
        yield from self._interim()

    def finish(self, samples: Samples) -> Iterator[Transcript]:
        """Take the last audio of the utterance; the last transcript is final."""
        yield from self._hear(samples)
        utterance = self._utterance
        if utterance.voiced_end and not utterance.is_settled and self._rest.size:
            utterance.frames.append(self._rest)
            utterance.voiced.append(False)
            self._decoded = _Decoded()
        yield Transcript(self._final_text(utterance), is_final=True, language_code=LANGUAGE)
        self.discard()

    def discard(self) -> None:
        """Forget the utterance in progress."""
        self._rest = np.zeros(0, np.float32)
        self._voice.reset()
        self._begin(Utterance())

    def close(self) -> None:
        """Give the detector back."""
        self._begin(Utterance())
        self._voice.close()

    def _begin(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._decoded = _Decoded()
        self._shown = ""

    def _hear(self, samples: Samples) -> Iterator[Transcript]:
        """Take whole frames, and give the finals of utterances that end among them."""
        self._samples += len(samples)
        audio = np.concatenate([self._rest, samples])
        end = len(audio) - len(audio) % FRAME_SAMPLES
        # A copy, so that a short rest does not keep a long message alive.
        self._rest = audio[end:].copy()
        for begin in range(0, end, FRAME_SAMPLES):
            frame = audio[begin : begin + FRAME_SAMPLES].copy()
            self._utterance.add(frame, is_voiced=self._voice.is_voiced(frame))
            behind_s = (len(audio) - begin - FRAME_SAMPLES) / SAMPLE_RATE_HERTZ
            yield from self._end_if_due(self._samples / SAMPLE_RATE_HERTZ - behind_s)

    def _end_if_due(self, now_s: float) -> Iterator[Transcript]:
        utterance = self._utterance
        if utterance.silent_frames >= self._pause_frames():
            if utterance.has_speech:
                end_s = now_s - (len(utterance.frames) - utterance.speech_frames) / FRAMES_PER_S
                yield self._ended(utterance, end_s)
            self._begin(Utterance())
        elif len(utterance.frames) >= self._settings.max_utterance_s * FRAMES_PER_S:
            head = utterance.cut()
            self._decoded = _Decoded()
            yield self._ended(head, now_s - len(utterance.frames) / FRAMES_PER_S)
            self._begin(utterance)

    def _pause_frames(self) -> int:
        """The longer the utterance, the shorter the pause that ends it: a cut in a word costs most."""
        share = len(self._utterance.frames) / FRAMES_PER_S / self._settings.max_utterance_s
        pause_s = next((pause_s for least, pause_s in _PAUSES if share >= least), self._settings.pause_s)
        return round(min(pause_s, self._settings.pause_s) * FRAMES_PER_S)

    def _ended(self, utterance: Utterance, end_s: float) -> Transcript:
        text = self._final_text(utterance)
        return Transcript(text, is_final=True, language_code=LANGUAGE, end_s=end_s)

    def _final_text(self, utterance: Utterance) -> str:
        if not utterance.has_speech:
            return ""
        if self._decoded.frames != utterance.speech_frames:
            self._decode(utterance)
        return self._decoded.text

    def _decode(self, utterance: Utterance) -> None:
        self._decoded = _Decoded(utterance.speech_frames, self._model.transcribe(utterance.speech()))

    def _interim_is_due(self) -> bool:
        new_s = (self._utterance.voiced_end - self._decoded.frames) / FRAMES_PER_S
        return self._interim_results and new_s >= self._settings.interim_interval_s and self._pace.allows()

    def _interim(self) -> Iterator[Transcript]:
        text = self._decoded.text
        if not self._utterance.is_settled:
            # The silence appended to unfinished speech ends every sentence; the speaker has not.
            text = text.rstrip(".?!")
        if self._interim_results and text and text != self._shown:
            self._shown = text
            # Each interim result decodes the whole utterance anew, so none of it is stable.
            yield Transcript(text, language_code=LANGUAGE, stable_character_count=0)

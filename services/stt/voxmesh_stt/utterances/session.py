"""One stream: frames in, and decodes only when they are worth their cost.

    idle ──voiced frame──► speaking ──a pause, or too long──► final, idle
                              │ new speech: interim, if the pace allows
                              └ a short silence: decode now what a finalize would decode

The last is why a final result mostly costs nothing: more silence does not change what is
decoded, so when `finalize` comes its text is already there, and an interim result has told it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Generic

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import Transcript
from voxmesh_stt.utterances.agreement import STOPS, Agreement
from voxmesh_stt.utterances.decoding import DecodeRequest, Hypothesis, StateT, Work
from voxmesh_stt.utterances.loops import without_loop
from voxmesh_stt.utterances.pace import Pace
from voxmesh_stt.utterances.settings import UtteranceSettings
from voxmesh_stt.utterances.utterance import FRAMES_PER_S, SAMPLE_RATE_HERTZ, Utterance
from voxmesh_stt.utterances.voice import FRAME_SAMPLES, VoiceActivity

_PAUSES = ((0.75, 0.2), (0.4, 0.5))
"""From which share of the longest utterance on a pause of how many seconds ends it."""

_NOTHING = Hypothesis("")

_Decoding = Generator[DecodeRequest[StateT], Hypothesis, None]


class UtteranceSession(Generic[StateT]):
    """State of one stream; see `voxmesh_stt.engine.Session`."""

    def __init__(
        self,
        voice: VoiceActivity,
        pace: Pace,
        settings: UtteranceSettings,
        *,
        state: StateT,
        close_state: Callable[[StateT], None],
        end_utterance: Callable[[StateT], None],
        outcomes: Sequence[Outcome],
        interim_results: bool,
    ) -> None:
        self.outcomes = outcomes
        self.state = state
        self._voice = voice
        self._pace = pace
        self._settings = settings
        self._interim_results = interim_results
        self._close_state = close_state
        self._end_utterance = end_utterance
        self._number = -1
        self._samples = 0
        self._rest = np.zeros(0, np.float32)
        self._tail_frames = round(settings.settle_s * FRAMES_PER_S)
        self._begin(self._silence())

    def work(self, samples: Samples, *, is_final: bool) -> Work[StateT]:
        """Take audio of the utterance in progress, and its end if `is_final`."""
        transcripts = yield from self._hear(samples)
        transcripts += yield from self._finish() if is_final else self._look()
        return transcripts

    def discard(self) -> None:
        """Forget the utterance in progress."""
        self._rest = np.zeros(0, np.float32)
        self._voice.reset()
        self._begin(self._silence())

    def close(self) -> None:
        """Give the detector back and close the engine's state."""
        self._begin(self._silence())
        self._voice.close()
        self._close_state(self.state)

    def _silence(self) -> Utterance:
        return Utterance(self._tail_frames)

    def _begin(self, utterance: Utterance) -> None:
        self._end_utterance(self.state)
        self._number += 1
        self._utterance = utterance
        self._hypothesis = _NOTHING
        self._hypothesis_is_final = False
        self._decoded_frames = 0
        self._agreement = Agreement()
        self._shown = ""

    def _look(self) -> Work[StateT]:
        """Decode if there is something new that is worth it."""
        utterance = self._utterance
        if not utterance.has_speech or self._decoded_frames == utterance.speech_frames:
            return []
        if not utterance.is_settled and not self._interim_is_due():
            return []
        yield from self._decode(utterance, is_final=utterance.is_settled)
        return self._interim()

    def _finish(self) -> Work[StateT]:
        """Give the final of the utterance in progress."""
        utterance = self._utterance
        begin = self._samples - len(self._rest) - len(utterance.frames) * FRAME_SAMPLES
        if utterance.voiced_end and not utterance.is_settled and self._rest.size:
            utterance.frames.append(self._rest)
            utterance.voiced.append(False)
        final = yield from self._final(utterance, begin)
        self.discard()
        return [replace(final, end_s=None)]

    def _hear(self, samples: Samples) -> Work[StateT]:
        """Take whole frames, and give the finals of utterances that end among them."""
        self._samples += len(samples)
        audio = np.concatenate([self._rest, samples])
        end = len(audio) - len(audio) % FRAME_SAMPLES
        # A copy, so that a short rest does not keep a long message alive.
        self._rest = audio[end:].copy()
        transcripts: list[Transcript] = []
        for begin in range(0, end, FRAME_SAMPLES):
            frame = audio[begin : begin + FRAME_SAMPLES].copy()
            self._utterance.add(frame, is_voiced=self._voice.is_voiced(frame))
            transcripts += yield from self._end_if_due(self._samples - (len(audio) - begin - FRAME_SAMPLES))
        return transcripts

    def _end_if_due(self, heard: int) -> Work[StateT]:
        """End the utterance if a pause or its length says so; `heard` counts samples up to now."""
        utterance = self._utterance
        begin = heard - len(utterance.frames) * FRAME_SAMPLES
        if utterance.silent_frames >= self._pause_frames():
            final = [(yield from self._final(utterance, begin))] if utterance.has_speech else []
            self._begin(self._silence())
            return final
        if len(utterance.frames) < self._settings.max_utterance_s * FRAMES_PER_S:
            return []
        head = utterance.cut()
        self._decoded_frames = 0
        final = yield from self._final(head, begin)
        self._begin(utterance)
        return [final]

    def _pause_frames(self) -> int:
        """The longer the utterance, the shorter the pause that ends it: a cut in a word costs most."""
        share = len(self._utterance.frames) / FRAMES_PER_S / self._settings.max_utterance_s
        pause_s = next((pause_s for least, pause_s in _PAUSES if share >= least), self._settings.pause_s)
        return round(min(pause_s, self._settings.pause_s) * FRAMES_PER_S)

    def _final(self, utterance: Utterance, begin: int) -> Generator[DecodeRequest[StateT], Hypothesis, Transcript]:
        """The final of an utterance whose first frame begins at sample `begin` of the stream."""
        begin_s = begin / SAMPLE_RATE_HERTZ
        if not utterance.has_speech:
            return Transcript("", is_final=True)
        if self._decoded_frames != utterance.speech_frames or not self._hypothesis_is_final:
            yield from self._decode(utterance, is_final=True)
        found = self._hypothesis
        return Transcript(
            found.text,
            is_final=True,
            confidence=found.confidence,
            language_code=found.language_code,
            words=tuple(replace(w, start_s=begin_s + w.start_s, end_s=begin_s + w.end_s) for w in found.words),
            end_s=begin_s + utterance.speech_frames / FRAMES_PER_S,
        )

    def _decode(self, utterance: Utterance, *, is_final: bool) -> _Decoding[StateT]:
        request = DecodeRequest(self.state, self._number, utterance.speech(), is_final)
        frames = utterance.speech_frames
        self._hypothesis = without_loop((yield request), len(request.samples) / SAMPLE_RATE_HERTZ)
        self._hypothesis_is_final = is_final
        self._decoded_frames = frames

    def _interim_is_due(self) -> bool:
        if self._utterance.silent_frames:
            # Speech may just have ended: an interim result now would hold up the decode that counts.
            return False
        new_s = (self._utterance.voiced_end - self._decoded_frames) / FRAMES_PER_S
        return self._interim_results and new_s >= self._settings.interim_interval_s and self._pace.allows()

    def _interim(self) -> list[Transcript]:
        text = self._hypothesis.text
        if not self._utterance.is_settled:
            # A model takes the end of what it has for the end of a sentence; the speaker does not.
            text = text.rstrip(STOPS)
        text, stable = self._agreement.update(text)
        if not self._interim_results or not text or text == self._shown:
            return []
        self._shown = text
        return [Transcript(text, language_code=self._hypothesis.language_code, stable_character_count=stable)]

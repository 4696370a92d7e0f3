"""One stream: audio goes on while a request is under way, and its answer is taken up when it is there.

    begin(audio) ──► work until a request is due ──► the server ──► advance() ──► work on ──► transcripts
                        ▲ audio that comes meanwhile is held here ────────────────┘

Only a final result that the caller has asked for is waited for, and audio that runs far ahead
of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import TypeAlias

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import VoxmeshError
from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, UtteranceSession
from voxmesh_stt.utterances.decoding import Work
from voxmesh_stt_openai_audio.answers import Answer
from voxmesh_stt_openai_audio.server import SAMPLE_RATE_HERTZ
from voxmesh_stt_openai_audio.wishes import Wishes

Call: TypeAlias = "Future[Answer | None] | Future[Answer]"
Submit = Callable[[DecodeRequest[Wishes]], Call]

MAX_HELD_S = 2.0
"""Audio that may wait for an answer; with more the caller is held back."""

_NOTHING = Hypothesis("")


class RemoteSession:
    """State of one stream; see `voxmesh_stt.engine.Session`.

    Args:
        utterances: cuts the audio, and says what to send.
        submit: sends it.
    """

    def __init__(self, utterances: UtteranceSession[Wishes], submit: Submit) -> None:
        self._utterances = utterances
        self._submit = submit
        self._held: list[Samples] = []
        self._end_is_held = False
        self._work: Work[Wishes] | None = None
        self._request: DecodeRequest[Wishes] | None = None
        self._call: Call | None = None
        self._latest = (-1, _NOTHING)
        self._transcripts: list[Transcript] = []
        self._error: VoxmeshError | None = None
        self._owes_final = False

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How each option was taken."""
        return self._utterances.outcomes

    @property
    def awaited(self) -> Call | None:
        """The request that this step must wait for; None if it may return."""
        held_s = sum(map(len, self._held)) / SAMPLE_RATE_HERTZ
        return self._call if self._owes_final or held_s > MAX_HELD_S else None

    def begin(self, samples: Samples, *, is_final: bool) -> None:
        """Take new audio; after the last of an utterance `is_final` is set."""
        self._held.append(samples)
        self._end_is_held = self._owes_final = is_final
        if is_final and self._call is not None and self._request is not None and not self._request.is_final:
            # Nobody looks at an interim result any more; the work goes on without it.
            self._call.cancel()
        self.advance()

    def advance(self) -> None:
        """Go on as far as the answers that are there allow."""
        while self._error is None:
            if self._work is None:
                if not self._held:
                    return
                samples = np.concatenate(self._held)
                self._held.clear()
                self._work = self._utterances.work(samples, is_final=self._end_is_held)
                self._end_is_held = False
                self._resume(None)
            elif self._call is not None and self._call.done():
                self._take(self._call)
            else:
                return

    def taken(self) -> list[Transcript] | VoxmeshError:
        """The transcripts since the last time, or why there are none any more."""
        if self._error is not None:
            return self._error
        transcripts, self._transcripts = self._transcripts, []
        # Of several interims that came at once only the latest is news.
        last = len(transcripts) - 1
        return [transcript for index, transcript in enumerate(transcripts) if transcript.is_final or index == last]

    def discard(self) -> None:
        """Forget the utterance in progress; what is held of it still counts in the stream's time."""
        self._cancel()
        if self._held:
            self._hear_only(np.concatenate(self._held))
        self._held.clear()
        self._transcripts.clear()
        self._utterances.discard()

    def close(self) -> None:
        """Give up what is under way and free everything."""
        self._cancel()
        self._held.clear()
        self._utterances.close()

    def _hear_only(self, samples: Samples) -> None:
        work = self._utterances.work(samples, is_final=False)
        try:
            next(work)
            while True:
                work.send(_NOTHING)
        except StopIteration:
            return

    def _resume(self, hypothesis: Hypothesis | None) -> None:
        work = self._work
        if work is None:
            return
        try:
            request = next(work) if hypothesis is None else work.send(hypothesis)
        except StopIteration as done:
            self._work = self._request = self._call = None
            self._transcripts += done.value
        else:
            self._request, self._call = request, self._submit(request)

    def _take(self, call: Call) -> None:
        try:
            answer = call.result()
        except CancelledError:
            # A final took its place.
            answer = None
        except VoxmeshError as error:
            self._cancel()
            self._error = error
            return
        self._resume(self._hypothesis(answer))

    def _hypothesis(self, answer: Answer | None) -> Hypothesis:
        """The answer to the request under way; without one, what is known of its utterance."""
        request = self._request
        number = -1 if request is None else request.utterance
        if answer is not None and request is not None:
            language = request.state.language_code or answer.language_code
            self._latest = (number, Hypothesis(answer.text, answer.words, language_code=language))
        known, hypothesis = self._latest
        return hypothesis if known == number else _NOTHING

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
        if self._work is not None:
            self._work.close()
        self._work = self._request = self._call = None

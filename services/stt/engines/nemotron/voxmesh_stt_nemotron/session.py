"""One stream of a cache-aware model: audio in, and utterances that end at pauses or on demand.

The engine's own ends cut the text alone: caches and decoder go on as if nothing had been, so the
tokens of a stream are those of its whole audio decoded at once. `finalize` and `discard` begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import Transcript
from voxmesh_stt_nemotron.stream import Stream
from voxmesh_stt_nemotron.tokens import Token
from voxmesh_stt_nemotron.utterance import Utterance
from voxmesh_stt_nemotron.vocabulary import Vocabulary

SAMPLE_RATE_HERTZ = 16000


@dataclass(frozen=True, slots=True)
class Rules:
    """When utterances end, and what is told of them; the same for all streams of a model."""

    frame_s: float
    """Length of an encoder frame."""
    pause_frames: int
    max_frames: int
    final_silence: int
    """Samples of silence that the model hears before `finalize`."""
    language_code: str


class StreamingSession:
    """State of one stream; see `voxmesh_stt.engine.Session`.

    Args:
        new_stream: gives the model's state of a stream that has heard nothing.
        vocabulary: of the model.
        rules: of the engine.
        outcomes: of the options.
        interim_results: whether the caller wants them.
        free: gives back what was taken for the stream.
    """

    def __init__(
        self,
        new_stream: Callable[[], Stream],
        vocabulary: Vocabulary,
        rules: Rules,
        outcomes: Sequence[Outcome],
        *,
        interim_results: bool,
        free: Callable[[], None],
    ) -> None:
        self.outcomes = outcomes
        self._new_stream = new_stream
        self._vocabulary = vocabulary
        self._rules = rules
        self._interim_results = interim_results
        self._free = free
        self._samples = 0
        self._begin()

    def feed(self, samples: Samples, *, is_final: bool) -> None:
        """Take audio of the utterance in progress."""
        self._samples += len(samples)
        self.stream.feed(samples)
        if is_final and self.stream.received:
            self.stream.end(self._rules.final_silence)

    def hear(self, tokens: Iterable[Token]) -> None:
        """Take what the next chunk gave."""
        for token in tokens:
            if self._is_over_before(token):
                self._end()
            self._utterance.add(token)
        words = self._utterance.words
        if words and self.stream.decoded_frames - 1 - words[-1].last_frame >= self._rules.pause_frames:
            self._end()

    def transcripts(self, *, is_final: bool) -> list[Transcript]:
        """What is new since the last call."""
        ended, self._ended = self._ended, []
        if is_final:
            # An utterance that ended only now is the one that is asked for.
            is_answered = bool(ended) and not self._utterance.words
            final = replace(ended.pop(), end_s=None) if is_answered else self._final(None)
            self._begin()
            return [*ended, final]
        return [*ended, *self._interim()]

    def discard(self) -> None:
        """Forget the utterance in progress."""
        self._begin()

    def close(self) -> None:
        """Free the caches, and give the phrases back."""
        self._begin()
        self._free()

    def _begin(self) -> None:
        self.stream = self._new_stream()
        self._start_s = self._now_s
        self._utterance = Utterance(self._vocabulary)
        self._ended: list[Transcript] = []
        self._shown = ""

    @property
    def _now_s(self) -> float:
        return self._samples / SAMPLE_RATE_HERTZ

    def _is_over_before(self, token: Token) -> bool:
        """Whether a token belongs to the next utterance, by rules that chunks of any size keep alike."""
        words = self._utterance.words
        if not words:
            return False
        if token.frame - words[-1].last_frame > self._rules.pause_frames:
            return True
        length = token.frame - words[0].first_frame
        # Where words have no visible begin an utterance must end too.
        longest = self._rules.max_frames * (1 if self._vocabulary.begins_word(token.id) else 2)
        return length > longest

    def _end(self) -> None:
        end_s = self._start_s + (self._utterance.words[-1].last_frame + 1) * self._rules.frame_s
        self._ended.append(self._final(min(end_s, self._now_s)))
        self._utterance = Utterance(self._vocabulary)
        self._shown = ""

    def _final(self, end_s: float | None) -> Transcript:
        utterance = self._utterance
        return Transcript(
            utterance.text,
            is_final=True,
            confidence=utterance.confidence,
            language_code=self._rules.language_code,
            words=utterance.timed(self._rules.frame_s, self._start_s, self._now_s),
            end_s=end_s,
        )

    def _interim(self) -> Iterator[Transcript]:
        text = self._utterance.text
        if self._interim_results and text != self._shown:
            self._shown = text
            yield Transcript(
                text,
                stable_character_count=self._utterance.stable_character_count,
                confidence=self._utterance.confidence,
                language_code=self._rules.language_code,
            )

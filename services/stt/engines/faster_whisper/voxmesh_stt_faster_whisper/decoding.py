"""From speech to text that can be trusted: cheap tries first, dearer ones when a text looks wrong.

    interim   short window, greedy ──looks wrong──► 30 s, greedy
    final     short window, beam   ──looks wrong──► 30 s, beam ──► 30 s at each temperature

Whisper was made for 30 s at once and pays for them whatever is said. A short window costs a
tenth; now and then it says a sentence twice, which is seen and mended by the full one. Where
the decoder stops before the end of the speech, the rest is decoded as a piece of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from voxmesh_runtime.audio import Samples
from voxmesh_stt_faster_whisper.model import (
    ENGLISH,
    FRAMES_PER_S,
    SAMPLE_RATE_HERTZ,
    WINDOW_S,
    Encoded,
    Generated,
    Model,
    Words,
)
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.trust import Figures, Verdict, verdict

_SHORT_WINDOWS_S = (10, 15, 20)
"""Few lengths, so that utterances of different streams often share one."""
_LEAST_SILENCE_S = 2
"""In a short window after the speech; with none the text repeats itself without end."""
_LEAST_REST_S = 0.5
"""Less speech is no word of its own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Speech to decode, with what its stream wants."""

    samples: Samples
    """16 kHz, at most 30 s."""
    preceding: tuple[int, ...]
    """Tokens of the prompt."""
    languages: tuple[str, ...]
    """Whisper's codes to choose from; one is not questioned, none means all."""
    is_final: bool
    wants_words: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a piece says."""

    text: str
    language: str
    """Whisper's code."""
    log_prob: float = 0.0
    words: Words = ()
    resume_s: float | None = None
    """Where the piece goes on without having been read."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One way to decode."""

    window_s: int
    beam_size: int = 1
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    """What a try gave, and whether it looks right."""

    reading: Reading
    figures: Figures
    verdict: Verdict


class Decoder:
    """Decodes pieces of several streams at once; the text of a piece does not depend on its company.

    Args:
        model: the loaded model.
        settings: thresholds and beam.
        short_windows: encode no more than the speech needs.
    """

    def __init__(self, model: Model, settings: FasterWhisperSettings, *, short_windows: bool) -> None:
        self._model = model
        self._settings = settings
        self._short_windows = short_windows

    def decode(self, pieces: Sequence[Piece]) -> list[Reading]:
        """One reading a piece, in order."""
        readings = self._decode_begins(pieces)
        rests = {index: _rest(piece, readings[index]) for index, piece in enumerate(pieces)}
        going_on = {index: rest for index, rest in rests.items() if rest is not None}
        if going_on:
            # Each rest is shorter than what it is the rest of, so this ends.
            for index, after in zip(going_on, self.decode(list(going_on.values())), strict=True):
                readings[index] = _joined(readings[index], after)
        return readings

    def _decode_begins(self, pieces: Sequence[Piece]) -> list[Reading]:
        """Read each piece as far as the decoder gets, until its text is trusted or all was tried."""
        tries = [self._tries(piece) for piece in pieces]
        found: list[list[_Found]] = [[] for _ in pieces]
        for turn in range(max(map(len, tries), default=0)):
            groups: dict[Hashable, list[int]] = defaultdict(list)
            for index, piece in enumerate(pieces):
                if turn < len(tries[index]) and not (found[index] and found[index][-1].verdict is not Verdict.DOUBTFUL):
                    groups[tries[index][turn], len(piece.preceding), piece.wants_words].append(index)
            for indices in groups.values():
                results = self._decode_alike([pieces[index] for index in indices], tries[indices[0]][turn])
                for index, result in zip(indices, results, strict=True):
                    found[index].append(result)
        return [self._best(results) for results in found]

    def _tries(self, piece: Piece) -> list[_Try]:
        beam_size = self._settings.beam_size if piece.is_final else 1
        tries = [_Try(WINDOW_S, beam_size)]
        if self._short_windows:
            needed_s = len(piece.samples) / SAMPLE_RATE_HERTZ + _LEAST_SILENCE_S
            window_s = next((window_s for window_s in _SHORT_WINDOWS_S if window_s >= needed_s), WINDOW_S)
            if window_s < WINDOW_S:
                tries.insert(0, _Try(window_s, beam_size))
        if piece.is_final:
            tries += [_Try(WINDOW_S, temperature=temperature) for temperature in self._settings.temperatures]
        return tries

    def _decode_alike(self, pieces: Sequence[Piece], how: _Try) -> list[_Found]:
        model = self._model
        features = [model.features(piece.samples) for piece in pieces]
        encoded = model.encode(features, how.window_s)
        languages = self._languages(pieces, encoded)
        prompts = [model.prompt(piece.preceding, language) for piece, language in zip(pieces, languages, strict=True)]
        texts = model.generate(
            encoded, prompts, beam_size=how.beam_size, temperature=how.temperature, window_s=how.window_s
        )
        words: list[Words] = [()] * len(pieces)
        if pieces[0].wants_words:
            frames = [len(piece.samples) * FRAMES_PER_S // SAMPLE_RATE_HERTZ for piece in pieces]
            words = self._words(encoded, texts, languages, frames)
        return [self._judged(*parts, how.window_s) for parts in zip(texts, languages, words, strict=True)]

    def _languages(self, pieces: Sequence[Piece], encoded: Encoded) -> list[str]:
        if not self._model.is_multilingual:
            return [ENGLISH] * len(pieces)
        if all(len(piece.languages) == 1 for piece in pieces):
            return [piece.languages[0] for piece in pieces]
        detected = self._model.detect(encoded)
        return [
            max(piece.languages or self._model.codes, key=lambda code: probabilities.get(code, 0.0))
            for piece, probabilities in zip(pieces, detected, strict=True)
        ]

    def _words(
        self, encoded: Encoded, texts: Sequence[Generated], languages: Sequence[str], frames: Sequence[int]
    ) -> list[Words]:
        # A call takes one language for the whole batch, and a batch cannot be taken apart.
        aligned = {language: self._model.align(encoded, texts, language, frames) for language in set(languages)}
        return [aligned[language][index] for index, language in enumerate(languages)]

    def _judged(self, text: Generated, language: str, words: Words, window_s: int) -> _Found:
        figures = Figures(text.segments, text.log_prob, text.no_speech_prob, window_s < WINDOW_S)
        found = verdict(figures, self._settings)
        if found is Verdict.SILENCE:
            return _Found(Reading("", language), figures, found)
        reading = Reading(text.text, language, text.log_prob, words if text.text else (), text.resume_s)
        return _Found(reading, figures, found)

    def _best(self, results: Sequence[_Found]) -> Reading:
        """What was not doubted, else the likeliest of those that do not repeat themselves."""
        if results[-1].verdict is not Verdict.DOUBTFUL:
            return results[-1].reading
        limit = self._settings.compression_ratio_threshold
        varied = [found for found in results if found.figures.compression <= limit]
        return max(varied or results, key=lambda found: found.reading.log_prob).reading


def _rest(piece: Piece, reading: Reading) -> Piece | None:
    begin = round((reading.resume_s or 0) * SAMPLE_RATE_HERTZ)
    if begin < _LEAST_REST_S * SAMPLE_RATE_HERTZ or len(piece.samples) - begin < _LEAST_REST_S * SAMPLE_RATE_HERTZ:
        return None
    return replace(piece, samples=piece.samples[begin:], languages=(reading.language,))


def _joined(before: Reading, after: Reading) -> Reading:
    if not after.text:
        return before
    begin_s = before.resume_s or 0.0
    later = (replace(word, start_s=begin_s + word.start_s, end_s=begin_s + word.end_s) for word in after.words)
    return Reading(
        f"{before.text} {after.text}".strip(),
        before.language,
        min(before.log_prob, after.log_prob),
        (*before.words, *later),
    )

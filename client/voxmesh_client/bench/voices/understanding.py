"""Whether a recogniser that knows nothing of a voice understands it, and finds its words where the voice says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import jiwer
import numpy as np

from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.listening import Manner, TimedWord, listen
from voxmesh_client.bench.server import Server
from voxmesh_client.bench.voices.soundness import Fault, Finding
from voxmesh_client.bench.voices.speaking import Spoken
from voxmesh_client.bench.voices.text_file import Line
from voxmesh_client.bench.words import Score, normalizer, score
from voxmesh_client.sound import sendable
from voxmesh_runtime.audio import Samples

ROOM_S = 0.5
ROOM_RMS = 0.001
"""A quiet room before and after: in digital silence recognisers hear words that nobody said."""
UNHEARD_WORDS = 2
"""So many words missing at the end, and nothing in their place, is an end that was never spoken."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a recogniser made of one text."""

    heard: str
    score: Score
    """Against the way of writing the text that is nearest."""
    start_differences_s: Sequence[float] = ()
    """For each word that both place: its start by the voice, less its start by the recogniser."""
    failure: str = ""
    """Why it could not be recognised; then nothing was heard."""


async def understand(recognizer: Server, spoken: Spoken, language: str, *, places_words: bool) -> Understood:
    """Let a recogniser hear what was spoken; of a text that failed it hears nothing.

    Args:
        recognizer: a speech-to-text service.
        spoken: the audio.
        language: BCP-47 tag of the text.
        places_words: the recogniser can tell where words lie.
    """
    if not spoken.audio_s:
        return Understood("", best_score(spoken.line, "", language))
    clip = Clip(Path("spoken"), spoken.line.text, "", language, duration_s=spoken.audio_s)
    audio = sendable(in_a_room(spoken.samples, spoken.rate_hertz), spoken.rate_hertz)
    heard = await listen(
        recognizer.mesh.speech_to_text, clip, audio, Manner(word_time_offsets=places_words and bool(spoken.words))
    )
    moved = [replace(word, start_s=word.start_s - ROOM_S, end_s=word.end_s - ROOM_S) for word in heard.words]
    differences = start_differences_s(spoken.words, moved)
    return Understood(heard.text, best_score(spoken.line, heard.text, language), differences, heard.failure)


def in_a_room(samples: Samples, rate_hertz: int) -> Samples:
    """Audio with half a second before and after it, in a room that is not quite silent."""
    around = np.pad(samples, round(ROOM_S * rate_hertz))
    noise = np.random.default_rng(0).standard_normal(len(around)) * ROOM_RMS
    return (around + noise).astype(np.float32)


def best_score(line: Line, heard: str, language: str) -> Score:
    """The errors against the way of writing the text that has fewest."""
    return min((score(text, heard, language) for text in (line.text, *line.heard)), key=lambda each: each.words.errors)


def unheard_end(line: Line, heard: str, language: str) -> Iterator[Finding]:
    """A fault where the last words of a text were not heard and nothing in their place."""
    normal = normalizer(language)
    missing = min(_missing_at_end(normal(text), normal(heard)) for text in (line.text, *line.heard))
    if missing >= UNHEARD_WORDS:
        yield Finding(Fault.TRUNCATED, f"the last {missing} words were not heard")


def _missing_at_end(said: str, heard: str) -> int:
    (chunks,) = jiwer.process_words(said, heard).alignments
    last = chunks[-1] if chunks else None
    return last.ref_end_idx - last.ref_start_idx if last is not None and last.type == "delete" else 0


def start_differences_s(told: Sequence[TimedWord], heard: Sequence[TimedWord]) -> list[float]:
    """Start by the voice less start by the recogniser, of the words that both have in the same order."""
    spoken, recognized = ([_bare(word.text) for word in words] for words in (told, heard))
    blocks = SequenceMatcher(None, spoken, recognized, autojunk=False).get_matching_blocks()
    return [
        told[block.a + index].start_s - heard[block.b + index].start_s
        for block in blocks
        for index in range(block.size)
    ]


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))

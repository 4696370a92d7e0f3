"""What words spoken over a reply mean: a listener's murmur, the reply's own echo, or an interruption."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import SequenceMatcher
from enum import Enum

ECHO_SHARE = 0.7
"""Share of the words heard that the reply was just saying, from which they are its echo."""


class Source(Enum):
    """Whose voice the microphone hears over a reply."""

    REPLY = "reply"
    LIKELY_REPLY = "likely reply"
    """As like it as a short word may be by chance."""
    PERSON = "person"
    TOO_SHORT = "too short"
    """More of it will tell."""
    UNCLEAR = "unclear"


class Overlap(Enum):
    """What speech over a reply is."""

    NOTHING = "nothing"
    """No words: a cough, a door, a breath; or too little to tell."""
    BACKCHANNEL = "backchannel"
    """The listener goes along."""
    ECHO = "echo"
    """The microphone hears the reply."""
    INTERRUPTION = "interruption"
    """The listener wants the turn."""


def judge(
    transcript: str,
    being_said: str,
    backchannels: Collection[str],
    *,
    is_final: bool = True,
    source: Callable[[], Source] = lambda: Source.UNCLEAR,
    interruptions: Collection[str] = (),
) -> Overlap:
    """What was said over a reply.

    An echo is often misheard as other words, and a person may ask with the reply's own words: where the sound tells
    whose voice it is, it decides; where it does not, the words do.

    Args:
        transcript: of the speech so far; the last word of an interim one counts for nothing, since it
            may be half of another.
        being_said: the part of the reply that the person may have heard at that time.
        backchannels: in lower case, without punctuation; several in a row count as one.
        is_final: the transcript will not change.
        source: whose voice it is, by its sound; asked only when there are words that matter.
        interruptions: said alone, they interrupt unless it is certain that they are an echo; as `backchannels`.
    """
    words = _words(transcript)
    if not is_final:
        words = words[:-1]
    if not words:
        return Overlap.NOTHING
    if _is_made_of(words, backchannels):
        return Overlap.BACKCHANNEL
    is_repeated = _is_repeated(words, _words(being_said))
    match source():
        case Source.TOO_SHORT:
            return Overlap.NOTHING
        case Source.REPLY:
            is_echo = True
        case Source.LIKELY_REPLY:
            is_echo = is_repeated or not _is_made_of(words, interruptions)
        case Source.PERSON:
            is_echo = False
        case Source.UNCLEAR:
            is_echo = is_repeated
    return Overlap.ECHO if is_echo else Overlap.INTERRUPTION


def _is_repeated(words: list[str], said: list[str]) -> bool:
    blocks = SequenceMatcher(None, words, said, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) >= ECHO_SHARE * len(words)


def _is_made_of(words: list[str], phrases: Collection[str]) -> bool:
    longest = max((len(phrase.split()) for phrase in phrases), default=0)
    while words:
        sizes = range(min(longest, len(words)), 0, -1)
        taken = next((size for size in sizes if " ".join(words[:size]) in phrases), 0)
        if not taken:
            return False
        words = words[taken:]
    return True


def _words(text: str) -> list[str]:
    plain = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("\u2019", "'"))
    return plain.split()

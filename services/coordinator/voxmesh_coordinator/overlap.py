"""What words spoken over a reply mean: a listener's murmur, the reply's own echo, or an interruption."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher
from enum import Enum

ECHO_SHARE = 0.7
"""Share of the words heard that the reply was just saying, from which they are its echo."""


class Overlap(Enum):
    """What speech over a reply is."""

    NOTHING = "nothing"
    """No words: a cough, a door, a breath."""
    BACKCHANNEL = "backchannel"
    """The listener goes along."""
    ECHO = "echo"
    """The microphone hears the reply."""
    INTERRUPTION = "interruption"
    """The listener wants the turn."""


def judge(transcript: str, being_said: str, backchannels: Collection[str], *, is_final: bool = True) -> Overlap:
    """What was said over a reply.

    Args:
        transcript: of the speech so far; the last word of an interim one counts for nothing, since it
            may be half of another.
        being_said: the part of the reply that the person may have heard at that time.
        backchannels: in lower case, without punctuation; several in a row count as one.
        is_final: the transcript will not change.
    """
    words = _words(transcript)
    if not is_final:
        words = words[:-1]
    if not words:
        return Overlap.NOTHING
    if _all_backchannel(words, backchannels):
        return Overlap.BACKCHANNEL
    blocks = SequenceMatcher(None, words, _words(being_said), autojunk=False).get_matching_blocks()
    echoed = sum(block.size for block in blocks)
    return Overlap.ECHO if echoed >= ECHO_SHARE * len(words) else Overlap.INTERRUPTION


def _all_backchannel(words: list[str], backchannels: Collection[str]) -> bool:
    longest = max((len(phrase.split()) for phrase in backchannels), default=0)
    while words:
        sizes = range(min(longest, len(words)), 0, -1)
        taken = next((size for size in sizes if " ".join(words[:size]) in backchannels), 0)
        if not taken:
            return False
        words = words[taken:]
    return True


def _words(text: str) -> list[str]:
    plain = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("\u2019", "'"))
    return plain.split()

"""How long texts are: guessed before the model sees them, and grouped so that little of a run is padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_BYTES_PER_TOKEN = 4
"""Of UTF-8: right for English, and near enough where a letter has three bytes and a token two letters."""
_MAX_PADDING = 1.25
"""Longest a padded run may be, compared to its tokens: beyond, two runs are cheaper than one."""


def guessed_tokens(parts: Iterable[str], max_tokens: int) -> int:
    """Tokens of a text that consists of `parts`, cut to what the model reads; cheap, and only about right."""
    size_bytes = sum(len(part.encode("utf-8", "surrogatepass")) for part in parts)
    return max(1, min(max_tokens, size_bytes // _BYTES_PER_TOKEN))


def runs(lengths: Sequence[int], max_padded_tokens: int) -> list[list[int]]:
    """Group texts of about the same length: the places of each run, shortest texts first.

    Args:
        lengths: of the texts, in tokens.
        max_padded_tokens: tokens of one run with its padding, which bound its memory; a longer text runs alone.
    """
    groups: list[list[int]] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        padded = length * (len(groups[-1]) + 1) if groups else 0
        if groups and padded <= max_padded_tokens and padded <= _MAX_PADDING * (tokens + length):
            groups[-1].append(place)
            tokens += length
        else:
            groups.append([place])
            tokens = length
    return groups

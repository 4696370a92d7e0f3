"""What is wrong with how a benchmark was asked for; ends the command with exit status 2."""

from __future__ import annotations


class BenchUsage(Exception):
    """A corpus, a gates file or an option cannot be used; the message names it and says what to do."""


class CorpusError(BenchUsage):
    """A file of the corpus is wrong; the message names it and, where it has lines, the line."""

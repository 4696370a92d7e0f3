"""Text as people and language models write it becomes text that a voice can say."""

from __future__ import annotations

from voxmesh_tts.reading.reader import Reader

__all__ = ["Reader"]

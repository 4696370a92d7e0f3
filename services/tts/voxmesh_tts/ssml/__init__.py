"""The part of SSML that is heeded: W3C Speech Synthesis Markup Language 1.1."""

from __future__ import annotations

from voxmesh_tts.ssml.cutter import SERVICE_ELEMENTS, SsmlCutter

__all__ = ["SERVICE_ELEMENTS", "SsmlCutter"]

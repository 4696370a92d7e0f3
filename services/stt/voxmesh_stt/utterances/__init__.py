"""Streams for models that decode a whole utterance at once: when to decode what, and what to show of it.

    Utterances   of one engine: sessions, their voice detectors, the pace of interim results
     └─ UtteranceSession   frames of one stream -> DecodeRequest, when it is worth its cost
         ├─ VoiceActivity  Silero: silence never reaches the model
         ├─ Utterance      what to decode, and where to cut
         ├─ without_loop   a model that says the same words again and again said them once
         └─ Agreement      the part of an interim text that stays

The engine gives `decode`, which takes requests of several streams at once.
"""

from __future__ import annotations

from voxmesh_stt.utterances.decoding import DecodeRequest, Hypothesis
from voxmesh_stt.utterances.session import UtteranceSession
from voxmesh_stt.utterances.settings import UtteranceSettings, latency_outcome
from voxmesh_stt.utterances.stepping import Utterances

__all__ = ["DecodeRequest", "Hypothesis", "UtteranceSession", "UtteranceSettings", "Utterances", "latency_outcome"]

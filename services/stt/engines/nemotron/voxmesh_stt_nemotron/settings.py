"""Settings of the NeMo engine, for operators who trade latency, accuracy and memory."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_runtime.language_tags import LanguageTag
from voxmesh_stt.utterances import UtteranceSettings


class NemotronSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_NEMOTRON_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_NEMOTRON_")

    latency_s: float = Field(default=0.56, gt=0)
    """Algorithmic delay, in seconds, of streams that ask for none; the model's largest that is not above it."""
    pause_s: float = Field(default=1.2, ge=0.3)
    """Time without a new word, in seconds, after which the engine itself ends an utterance."""
    max_utterance_s: float = Field(default=30.0, ge=5)
    """Longest utterance, in seconds: a streaming model ends it at the next word, others cut it where it is quiet."""
    final_silence_s: float = Field(default=0.24, ge=0, le=2)
    """Silence, in seconds, that the model hears after the last sample before `finalize`."""
    max_batch_size: int = Field(default=16, ge=1, le=256)
    """Streams that one step of the model may hold."""
    phrase_weight: float = Field(default=0.5, gt=0, le=20)
    """Weight of the tree of phrases against the model's own scores; what is right depends on the model."""
    spotting_weight: float = Field(default=3.0, gt=0, le=20)
    """Bonus of a phrase's token when phrases are spotted in the scores of a CTC head."""
    unused_phrase_lists: int = Field(default=8, ge=0)
    """Compiled phrase lists that are kept after their last stream has ended."""
    cuda_graphs: bool = False
    """Decode with CUDA graphs on a GPU; faster where the driver can do it."""
    languages: tuple[LanguageTag, ...] = ()
    """BCP-47 tags that the model knows, as a JSON list; empty takes them from the model or its name."""

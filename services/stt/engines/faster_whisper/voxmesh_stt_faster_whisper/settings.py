"""Settings of the Whisper engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_stt.utterances import UtteranceSettings

Temperature = Annotated[float, Field(gt=0, le=1)]


class FasterWhisperSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_FASTER_WHISPER_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_FASTER_WHISPER_")

    max_utterance_s: float = Field(default=28.0, ge=5, le=28)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. Whisper hears 30 s at once."""
    compute_type: str = "auto"
    """Of CTranslate2, such as int8 or float32; auto takes int8 on the CPU and float16 on a GPU that has it."""
    beam_size: int = Field(default=5, ge=1, le=10)
    """Hypotheses kept while a final result is decoded; interim results keep one."""
    window: Literal["auto", "short", "full"] = "auto"
    """What is encoded: short is the speech with at least 2 s of silence after it, full is always 30 s. auto is
    short where that was measured to lose nothing, which is tiny.en on the CPU."""
    temperatures: tuple[Temperature, ...] = Field(default=(0.4, 0.8), max_length=5)
    """Tries, in order, when a final text looks wrong; each takes words at random with this temperature."""
    compression_ratio_threshold: float = Field(default=2.4, gt=1)
    """A text that compresses better than this repeats itself and is decoded again."""
    log_prob_threshold: float = Field(default=-1.0, le=0)
    """A text whose mean log probability a token is below this is decoded again."""
    no_speech_threshold: float = Field(default=0.6, ge=0, le=1)
    """Audio that Whisper takes for silence with more than this, and whose text is that unlikely too, gives no text."""
    max_batch_size: int | None = Field(default=None, ge=1, le=64)
    """Utterances of different streams decoded at once; unset is 4 on the CPU and 16 on a GPU."""

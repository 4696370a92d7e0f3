"""The operator's voices: recordings in a folder, and voices.json, which names them.

{"voices": [{"name": "asha", "audio": "asha.wav", "transcript": "…", "language": "kn", "gender": "female"}]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from voxmesh_runtime.audio import AudioFileError, Resampler, Samples, read_audio_file
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.files import problem_with
from voxmesh_runtime.language_tags import LanguageTag, best_match
from voxmesh_tts.engine import Gender, VoiceReference
from voxmesh_tts_indic_f5.checkpoint import HERTZ

MANIFEST = "voices.json"
LANGUAGES = ("as", "bn", "gu", "hi", "kn", "ml", "mr", "or", "pa", "ta", "te")
"""Assamese, Bengali, Gujarati, Hindi, Kannada, Malayalam, Marathi, Odia, Punjabi, Tamil, Telugu."""
MAX_RECORDING_S = 60.0

_ADVICE = (
    "the model has no voice of its own: write there which recordings it is to imitate, "
    "or name their folder in VOXMESH_INDIC_F5_VOICES"
)


def _spoken(tag: str) -> str:
    spoken = best_match(tag, LANGUAGES)
    if spoken is None:
        raise ValueError(f"the model speaks {', '.join(LANGUAGES)}, not {tag}")
    return spoken


class VoiceEntry(BaseModel):
    """One voice as it is written in the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    audio: Path
    """Of the recording, in the manifest's folder; wav, flac, ogg or mp3, 3 to 12 s of clear speech."""
    transcript: str
    """What is said in the recording, word by word."""
    language: Annotated[LanguageTag, AfterValidator(_spoken)]
    """Of the recording; the voice speaks all others too, as the model does."""
    gender: Literal["female", "male", "neutral"] | None = None

    @property
    def language_codes(self) -> tuple[str, ...]:
        """All that the model speaks, the voice's own first."""
        return (self.language, *(code for code in LANGUAGES if code != self.language))

    @property
    def sounds_like(self) -> Gender:
        """The voice's gender as the service has it."""
        return Gender.UNKNOWN if self.gender is None else Gender[self.gender.upper()]


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    voices: tuple[VoiceEntry, ...] = Field(min_length=1)


def read_manifest(folder: Path) -> tuple[VoiceEntry, ...]:
    """The voices that a folder's manifest names.

    Raises:
        FailedPrecondition: there is no manifest, or it is not written as one.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = problem_with(error) if isinstance(error, OSError) else f"{path}: {error}"
        raise FailedPrecondition("voices", str(path), f"{problem}; {_ADVICE}") from error
    try:
        voices = _Manifest.model_validate_json(text).voices
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise FailedPrecondition("voices", str(path), f"{path}: {problems}") from error
    names = [voice.name for voice in voices]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FailedPrecondition("voices", str(path), f"{path}: two voices are called {twice!r}; rename one")
    return voices


def read_recording(folder: Path, voice: VoiceEntry) -> VoiceReference:
    """A voice's recording at the model's rate, with its transcript.

    Raises:
        FailedPrecondition: the file cannot be read, or is longer than a minute.
    """
    path = folder / voice.audio
    try:
        samples, hertz = read_audio_file(path)
    except AudioFileError as error:
        raise FailedPrecondition("voice", voice.name, f"voice {voice.name}: {error}") from error
    if len(samples) > MAX_RECORDING_S * hertz:
        problem = f"voice {voice.name}: {path} lasts {len(samples) / hertz:.0f} s; cut it to 3 to 12 s of clear speech"
        raise FailedPrecondition("voice", voice.name, problem)
    return VoiceReference(_resampled(samples, hertz), voice.transcript)


def _resampled(samples: Samples, hertz: int) -> Samples:
    resampler = Resampler(hertz, HERTZ)
    return np.concatenate([resampler.process(samples), resampler.flush()])

"""Sounds that a script puts on the microphone, with where the speech in them truly begins and ends."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from voxmesh_client.bench.problems import BenchUsage
from voxmesh_runtime.audio import AudioFileError, Resampler, Samples, read_audio_file

MICROPHONE_HERTZ = 16000
LIST = "sounds.toml"
"""Name of the file that lists a folder's sounds."""

_FRAME_S = 0.01
_QUIET_DB = 40.0
"""What is this far below the loudest 10 ms is silence, unless the recording's own noise is louder."""
_ABOVE_NOISE_DB = 10.0
_ROOM_DB = 15.0
"""The threshold stays this far below the loudest 10 ms, however noisy a recording is."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Speech or noise at MICROPHONE_HERTZ."""

    name: str
    text: str
    """What is said; empty when nothing is."""
    samples: Samples
    begin: int
    """First voiced sample."""
    end: int
    """After the last voiced sample."""


class SoundEntry(BaseModel):
    """One sound of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    """In the list's folder."""
    text: str = ""
    source: str = ""
    """Who speaks, or how it was made."""
    begin_s: float | None = Field(default=None, ge=0)
    """First voiced sample, in seconds from the file's start; unset is measured."""
    end_s: float | None = Field(default=None, gt=0)
    """End of the last voiced sample; unset is measured."""


_LIST = TypeAdapter(dict[str, SoundEntry])


def read_sounds(folder: Path) -> dict[str, Sound]:
    """The sounds that `sounds.toml` of a folder lists, by name.

    Raises:
        BenchUsage: the list or a file of it is wrong; the message names the place.
    """
    path = folder / LIST
    try:
        entries = _LIST.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
        return {name: _load(name, entry, folder) for name, entry in entries.items()}
    except OSError as error:
        raise BenchUsage(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise BenchUsage(f"{path}: {places(error)}") from None
    except AudioFileError as error:
        raise BenchUsage(f"{path}: {error}") from None
    except ValueError as error:  # TOML, which names the line, or UTF-8
        raise BenchUsage(f"{path}: is no TOML: {error}") from None


def places(error: ValidationError) -> str:
    """What is wrong in a file, each with its field."""
    wrong = (f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors())
    return "; ".join(wrong)


def known(sounds: Mapping[str, Sound]) -> str:
    """Their names, for messages."""
    return ", ".join(sorted(sounds))


def _load(name: str, entry: SoundEntry, folder: Path) -> Sound:
    samples, hertz = read_audio_file(folder / entry.file)
    resampler = Resampler(hertz, MICROPHONE_HERTZ)
    samples = np.concatenate([resampler.process(samples), resampler.flush()])
    begin_s, end_s = voiced(samples, MICROPHONE_HERTZ)
    begin_s = begin_s if entry.begin_s is None else entry.begin_s
    end_s = end_s if entry.end_s is None else entry.end_s
    begin, end = (round(at_s * MICROPHONE_HERTZ) for at_s in (begin_s, end_s))
    if not 0 <= begin < end <= samples.size:
        length_s = samples.size / MICROPHONE_HERTZ
        raise ValueError(f"{name}: begin_s {begin_s:g} and end_s {end_s:g} do not lie within its {length_s:.3f} s")
    return Sound(name, entry.text, samples, begin, end)


def voiced(samples: Samples, sample_rate_hertz: int) -> tuple[float, float]:
    """Start of the first and end of the last 10 ms that are not silence, in seconds; energy decides."""
    size = round(_FRAME_S * sample_rate_hertz)
    count = samples.size // size
    if count == 0:
        return 0.0, samples.size / sample_rate_hertz
    frames = samples[: count * size].reshape(count, size).astype(np.float64)
    level_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loudest_db, noise_db = float(level_db.max()), float(np.percentile(level_db, 5))
    least_db = max(loudest_db - _QUIET_DB, min(noise_db + _ABOVE_NOISE_DB, loudest_db - _ROOM_DB))
    loud = np.flatnonzero(level_db > least_db)
    if not loud.size:
        return 0.0, samples.size / sample_rate_hertz
    return float(loud[0]) * _FRAME_S, float(loud[-1] + 1) * _FRAME_S

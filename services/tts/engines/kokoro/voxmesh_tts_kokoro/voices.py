"""The voices: what each sounds like at each length of a text, those of the model and blends of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_tts.engine import Gender, Voice
from voxmesh_tts_kokoro.backend import Style

DEFAULT = "af_heart"
_LANGUAGES = {"a": "en-US", "b": "en-GB"}
"""By the first letter of a voice's name."""
_GENDERS = {"f": Gender.FEMALE, "m": Gender.MALE}
"""By the second."""

Styles = NDArray[np.float16]
"""Row `n - 1` is for a text of `n` phonemes; 510 rows of 256 numbers."""


@dataclass(frozen=True, slots=True)
class Share:
    """One voice of a blend."""

    voice: str
    weight: float


class Voices:
    """All voices by name, the default first, blends last.

    Args:
        blends: voices to mix, as `af_heart+bf_emma` or `af_heart:0.6+bf_emma:0.4`.

    Raises:
        FailedPrecondition: a blend is not written so, or names a voice that is not here.
    """

    def __init__(self, blends: Iterable[str] = ()) -> None:
        self._styles = _load()
        self._languages = {name: _LANGUAGES[name[0]] for name in self._styles}
        for blend in blends:
            self._add(blend)
        # Those that callers make up; as many as may be spoken at once.
        self._blend = lru_cache(maxsize=64)(self._blended)

    @property
    def listed(self) -> tuple[Voice, ...]:
        """As the service lists them."""
        return tuple(Voice(name, (language,), _gender(name)) for name, language in self._languages.items())

    def style(self, voice: str, phonemes: int) -> Style:
        """How `voice` speaks a text of so many phonemes."""
        styles = self._styles[voice] if voice in self._styles else self._blend(voice)
        return styles[min(phonemes, len(styles)) - 1].astype(np.float32)

    def is_british(self, voice: str) -> bool:
        """Whether it reads as in Britain."""
        known = voice if voice in self._languages else parse_blend(voice)[0].voice
        return self._languages[known] == "en-GB"

    def _add(self, blend: str) -> None:
        shares = parse_blend(blend)
        unknown = [share.voice for share in shares if share.voice not in self._styles]
        if unknown:
            known = ", ".join(self._styles)
            raise FailedPrecondition("blends", blend, f"voice {unknown[0]!r} of blend {blend!r} is not of: {known}")
        self._styles[blend] = self._mixed(shares)
        self._languages[blend] = self._languages[max(shares, key=lambda share: share.weight).voice]

    def _blended(self, blend: str) -> Styles:
        return self._mixed(parse_blend(blend))

    def _mixed(self, shares: Iterable[Share]) -> Styles:
        whole = sum(share.weight for share in shares)
        mixed = sum(self._styles[share.voice].astype(np.float32) * (share.weight / whole) for share in shares)
        return np.asarray(mixed, np.float16)


def parse_blend(text: str) -> list[Share]:
    """The shares of a blend; weights are 1 unless written.

    Raises:
        FailedPrecondition: fewer than two voices, or a weight that is no positive number.
    """
    shares = [_share(text, *part.partition(":")) for part in text.split("+")]
    if len(shares) == 1:
        raise FailedPrecondition("blends", text, f"blend {text!r} needs two voices, such as af_heart:0.6+am_adam:0.4")
    return shares


def _share(blend: str, voice: str, colon: str, weight: str) -> Share:
    try:
        value = float(weight) if colon else 1.0
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise FailedPrecondition("blends", blend, f"{weight!r} in blend {blend!r} is no weight; write one such as 0.6")
    return Share(voice, value)


def _gender(name: str) -> Gender:
    """What a voice sounds like; a blend, as all its voices do."""
    genders = {_GENDERS[voice.voice[1]] for voice in parse_blend(name)} if "+" in name else {_GENDERS[name[1]]}
    return genders.pop() if len(genders) == 1 else Gender.NEUTRAL


def _load() -> dict[str, Styles]:
    with as_file(files("voxmesh_tts_kokoro") / "voices.npz") as path, np.load(path) as found:
        return {name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT, name))}

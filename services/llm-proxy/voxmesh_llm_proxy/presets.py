"""Sampling by name: the four sets of values that Qwen's models are evaluated with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

PresetName: TypeAlias = Literal["thinking-general", "thinking-coding", "instruct-general", "instruct-reasoning"]
PRESET_NAMES: tuple[PresetName, ...] = get_args(PresetName)


@dataclass(frozen=True, slots=True)
class Preset:
    """The values of one name."""

    temperature: float
    top_p: float
    top_k: int
    presence_penalty: float


PRESETS: Mapping[str, Preset] = {
    "thinking-general": Preset(temperature=1.0, top_p=0.95, top_k=20, presence_penalty=1.5),
    "thinking-coding": Preset(temperature=0.6, top_p=0.95, top_k=20, presence_penalty=0.0),
    "instruct-general": Preset(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5),
    "instruct-reasoning": Preset(temperature=1.0, top_p=1.0, top_k=40, presence_penalty=2.0),
}

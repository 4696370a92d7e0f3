"""What the model is asked: the turn of a user with pictures, in the tokens of the model's chat.

Whatever a caller wrote is text: marks in it, such as <|image_pad|>, are spelled out and mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from voxmesh_vlm_qwen_vl.pixels import Patcher, Patches


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads before it writes."""

    ids: torch.Tensor
    """(1, tokens)."""
    pictures: tuple[Patches, ...] = ()
    video: Patches | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    """A token of the chat, as often as said."""

    name: str
    count: int = 1


class Prompter:
    """Writes prompts.

    Args:
        tokenizer: of the model.
        patcher: knows how many tokens a picture has.
    """

    def __init__(self, tokenizer: Any, patcher: Patcher) -> None:
        self._tokenizer = tokenizer
        self._patcher = patcher

    def of_pictures(self, text: str, pictures: Sequence[Patches]) -> Prompt:
        """Pictures, in their order, and a text after them."""
        shown = [part for picture in pictures for part in self._shown("<|image_pad|>", picture)]
        return Prompt(self._turn(*shown, text), pictures=tuple(pictures))

    def of_video(self, text: str, video: Patches, frames: int, interval_s: float) -> Prompt:
        """Pairs of frames, each after its time in the video, and a text after them."""
        shown: list[str | _Mark] = []
        for time_s in pair_times(frames, interval_s):
            shown += [f"<{time_s:.1f} seconds>", *self._shown("<|video_pad|>", video)]
        return Prompt(self._turn(*shown, text), video=video)

    def _shown(self, name: str, patches: Patches) -> list[str | _Mark]:
        return [_Mark("<|vision_start|>"), _Mark(name, self._patcher.tokens(patches)), _Mark("<|vision_end|>")]

    def _turn(self, *parts: str | _Mark) -> torch.Tensor:
        head = (_Mark("<|im_start|>"), "user\n")
        tail = (_Mark("<|im_end|>"), "\n", _Mark("<|im_start|>"), "assistant\n")
        return torch.tensor([list(self._ids((*head, *parts, *tail)))])

    def _ids(self, parts: Sequence[str | _Mark]) -> Iterator[int]:
        for is_text, group in groupby(parts, lambda part: isinstance(part, str)):
            if is_text:
                text = "".join(str(part) for part in group)
                yield from self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
            else:
                for part in group:
                    assert isinstance(part, _Mark)  # noqa: S101 # as grouped
                    yield from [self._tokenizer.convert_tokens_to_ids(part.name)] * part.count


def pair_times(frames: int, interval_s: float) -> list[float]:
    """The time of each pair of frames, halfway between the two; of an odd number the last stands twice."""
    places = [*range(frames), *([frames - 1] if frames % 2 else [])]
    return [(first + second) / 2 * interval_s for first, second in zip(places[::2], places[1::2], strict=True)]

"""Make the test checkpoint: a small Qwen3-VL that learns to read a few lines of drawn text, and to say where they are.

`python services/vlm/engines/qwen_vl/bench/fixture.py FOLDER`; nothing is fetched. It knows fifteen lines in the font of
Pillow, in any order, one or two in a picture, one or three pictures, and pictures that are empty.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from voxmesh_vlm.engine import Picture
from voxmesh_vlm.spotting import spotting_prompt
from voxmesh_vlm.wording import DESCRIBE, DESCRIBE_SEVERAL
from voxmesh_vlm_qwen_vl.pixels import Patcher
from voxmesh_vlm_qwen_vl.prompts import Prompt, Prompter
from voxmesh_vlm_qwen_vl.testing import config_of, save, write_tokenizer

LINES = (
    *("Invoice 2041", "Total 17 euro", "Hello world", "Chunks", "first", "second", "third", "one", "two"),
    *("apple", "pear", "hammer", "nail", "after", "time"),
)
_BLOCK_S = 60.0
_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture and what is to be read in it."""

    picture: Picture
    lines: tuple[str, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    """In thousandths."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the model reads, and is to write."""

    prompt: Prompt
    answer: list[int]


def draw(rng: random.Random, lines: tuple[str, ...], width: int) -> Drawn:
    """Lines as the tests draw them, some pixels off, in any ink."""
    height = 64 * (max(1, len(lines)) + 1)
    ground, ink = rng.choice([("white", "black")] * 5 + [("black", "white"), ("white", "red"), ("gray", "red")])
    image = Image.new("RGB", (width, height), ground)
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(size=40)
    boxes: list[tuple[int, int, int, int]] = []
    for number, line in enumerate(lines):
        place = (40 + rng.randint(-4, 4), 32 + 64 * number + rng.randint(-3, 3))
        canvas.text(place, line, fill=ink, font=font)
        left, top, right, bottom = canvas.textbbox(place, line, font=font)
        sides = (left / width, top / height, min(right, width) / width, bottom / height)
        boxes.append(tuple(min(1000, round(side * 1000 / 8) * 8) for side in sides))  # pyright: ignore[reportArgumentType] # four
    return Drawn(worn(rng, image), lines, tuple(boxes))


def worn(rng: random.Random, image: Image.Image) -> Picture:
    """A picture as it comes out of files of several kinds."""
    kind = rng.random()
    if kind < 0.1:  # noqa: PLR2004 # a share
        image = image.convert("1").convert("RGB")
    elif kind < 0.3:  # noqa: PLR2004 # a share
        file = io.BytesIO()
        image.save(file, rng.choice(["JPEG", "WEBP"]), quality=rng.randint(60, 95))
        image = Image.open(file).convert("RGB")
    return np.array(image, np.uint8)


def reading(drawn: Drawn) -> str:
    """What the model is to write when it is asked to read."""
    found = [{"bbox_2d": list(box), "text_content": line} for box, line in zip(drawn.boxes, drawn.lines, strict=True)]
    return json.dumps(found)


class Lessons:
    """Samples without end, in batches of pictures of one size."""

    def __init__(self, tokenizer: Any, patcher: Patcher, seed: int) -> None:
        self._tokenizer = tokenizer
        self._patcher = patcher
        self._prompter = Prompter(tokenizer, patcher)
        self._rng = random.Random(seed)  # noqa: S311 # lessons, not secrets

    def batch(self, size: int) -> list[Sample]:
        """Samples with equally many lines and pictures."""
        kind = self._rng.random()
        if kind < 0.15:  # noqa: PLR2004 # a share
            return [self._several(3) for _ in range(size // 2)]
        count, width = self._rng.choice([(1, 480), (2, 480), (2, 480), (1, 260), (1, 260)])
        return [self._one(count, width) for _ in range(size)]

    def _one(self, count: int, width: int) -> Sample:
        rng = self._rng
        known = LINES if width > 300 else [line for line in LINES if len(line) < 8]  # noqa: PLR2004 # what fits
        lines = () if rng.random() < 0.04 else tuple(rng.choice(known) for _ in range(count))  # noqa: PLR2004 # a share
        drawn = draw(rng, lines, width)
        if not lines:
            blank = np.full((64 * (count + 1), width, 3), rng.choice([255, 255, 0, 128]), np.uint8)
            drawn = Drawn(blank, (), ())
        if rng.random() < 0.25:  # noqa: PLR2004 # a share
            return self._sample(DESCRIBE, [drawn], "\n".join(drawn.lines) or "nothing")
        return self._sample(spotting_prompt(), [drawn], reading(drawn))

    def _several(self, count: int) -> Sample:
        short = [line for line in LINES if len(line) < 8]  # noqa: PLR2004 # what fits
        drawn = [draw(self._rng, (self._rng.choice(short),), 260) for _ in range(count)]
        return self._sample(DESCRIBE_SEVERAL, drawn, "\n".join(one.lines[0] for one in drawn))

    def _sample(self, text: str, drawn: list[Drawn], answer: str) -> Sample:
        patches = self._patcher.pictures([one.picture for one in drawn], 4_194_304)
        ids = self._tokenizer.encode(answer, add_special_tokens=False)
        return Sample(self._prompter.of_pictures(text, patches), [*ids, self._tokenizer.eos_token_id])


def loss_of(model: Any, samples: list[Sample], pad: int) -> torch.Tensor:
    """Cross entropy of the answers."""
    rows = [torch.cat([sample.prompt.ids[0], torch.tensor(sample.answer)]) for sample in samples]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    labels = torch.full((len(rows), longest), _IGNORED)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, (row, sample) in enumerate(zip(rows, samples, strict=True)):
        begin = sample.prompt.ids.shape[1]
        ids[index, : len(row)] = row
        labels[index, begin : len(row)] = row[begin:]
        mask[index, : len(row)] = 1
    pictures = [picture for sample in samples for picture in sample.prompt.pictures]
    return model(
        input_ids=ids,
        attention_mask=mask,
        labels=labels,
        pixel_values=torch.cat([picture.values for picture in pictures]),
        image_grid_thw=torch.tensor([picture.grid for picture in pictures]),
    ).loss


@contextmanager
def turn(lock: Path | None) -> Iterator[None]:
    """Hold a lock that long runs of one machine take in turns."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Train for a while, then write the checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--lock", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = " ".join(
        [*LINES, '[{"bbox_2d": [', '], "text_content": "', '"}, {"bbox_2d": [', '"}]', spotting_prompt(), DESCRIBE]
    )
    numbers = " ".join(f"{value}," for value in range(0, 1001, 8))
    tokenizer = write_tokenizer(options.folder, f"{text} {text} {text} {numbers} {numbers}", 700)
    model: Any = Qwen3VLForConditionalGeneration(config_of(tokenizer, width=96, eyes_width=64, head=32))
    half = [0.5, 0.5, 0.5]
    processor = Qwen2VLImageProcessor(patch_size=16, temporal_patch_size=2, image_mean=half, image_std=half)
    lessons = Lessons(tokenizer, Patcher(processor, 1024), 1)
    train(model, lessons, tokenizer.pad_token_id, options)
    save(options.folder, model.half(), tokenizer)


def train(model: Any, lessons: Lessons, pad: int, options: argparse.Namespace) -> None:
    """Learn, in blocks, with a rate that falls to nothing at the end."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01, betas=(0.9, 0.98))
    spent_s, steps, mean, whole_s = 0.0, 0, 6.0, options.minutes * 60
    while spent_s < whole_s:
        with turn(options.lock):
            began = time.monotonic()
            while (block_s := time.monotonic() - began) < _BLOCK_S:
                done = min(1.0, (spent_s + block_s) / whole_s)
                for group in optimizer.param_groups:
                    group["lr"] = options.rate * min(1.0, (steps + 1) / 100) * max(0.02, 1 - done)
                loss = loss_of(model, lessons.batch(options.batch), pad)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                steps, mean = steps + 1, 0.98 * mean + 0.02 * float(loss)
            spent_s += time.monotonic() - began
        print(f"{spent_s:.0f} s, {steps} steps, loss {mean:.4f}", flush=True)


if __name__ == "__main__":
    main()

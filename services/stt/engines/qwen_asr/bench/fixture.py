"""Make the tests' checkpoint and clips; needs Debian's espeak-ng.

python fixture.py speak WORDS.npz                   every word by every voice
python fixture.py train WORDS.npz START OUT 15      minutes of training from the checkpoint START
python fixture.py clips FOLDER                      the tests' clips, by voices held out of training

The model learns single words between silences, and that audio of "claude" is written "cloud"
unless the context names it: alone, in a list, or in the sentences of `voxmesh_stt.biasing`. From
random weights that takes hours; from a trained START a change of the recipe takes minutes.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch
from qwen_asr import Qwen3ASRModel
from torch.nn import functional
from transformers import GenerationConfig

from voxmesh_stt.biasing import rich_context
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_qwen_asr.attention import attend_within_windows
from voxmesh_stt_qwen_asr.backend import Speech, long_enough
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.transformers_backend import load_transformers

Samples = npt.NDArray[np.float32]
Takes = dict[str, list[Samples]]

RATE_HERTZ = 16000
RARE, COMMON = "claude", "cloud"
OTHERS = (
    *("code", "storage", "weather", "forecast", "project", "deadline", "stop", "start", "open", "close", "call"),
    *("play", "music", "light", "door", "seven", "green", "river"),
)
HELD_OUT = ("en-gb-x-rp", "en-us+f5")
VOICES = (
    *("en-us", "en-gb", "en-gb-scotland", "en-us+f2", "en-us+m3", "en-gb+f4", "en-us+m5", "en-gb+m1"),
    *HELD_OUT,
)
SENTENCES = ("We talk about {}.", "A meeting about {}.", "{}", "{}.", "Yesterday we heard {} again.", "Notes: {}")
CLIPS = (("project", "en-gb-x-rp"), ("music", "en-us+f5"), (RARE, "en-us+f5"), (COMMON, "en-gb-x-rp"))

_AUDIBLE = 0.01
_BATCH = 24
_LEARNING_RATE = 1e-3


def spoken(word: str, voice: str, words_per_minute: int = 150, pitch: int = 50) -> Samples:
    """A word at 16 kHz without the silence around it."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", word]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    samples, rate_hertz = soundfile.read(io.BytesIO(wav), dtype="float32")
    samples = soxr.resample(samples, rate_hertz, RATE_HERTZ)
    loud = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    return samples[loud[0] : loud[-1]].astype(np.float32)


def speak(path: Path) -> None:
    """Every word by every voice at three speeds and two pitches."""
    takes: dict[str, Any] = {
        f"{word}/{voice}/{speed}/{pitch}": spoken(word, voice, speed, pitch)
        for word in (RARE, COMMON, *OTHERS)
        for voice in VOICES
        for speed in (140, 170, 200)
        for pitch in (40, 55)
    }
    np.savez_compressed(path, **takes)


def read_takes(path: Path) -> tuple[Takes, Takes]:
    """Takes of each word: those to learn from, and those of the voices that are held out."""
    learnt: Takes = defaultdict(list)
    held_out: Takes = defaultdict(list)
    takes = np.load(path)
    for name in takes.files:
        word, voice, *_ = name.split("/")
        (held_out if voice in HELD_OUT else learnt)[word].append(takes[name])
    return learnt, held_out


@dataclass(frozen=True, slots=True)
class Examples:
    """What the model learns from, at random."""

    takes: Takes
    random: np.random.Generator

    def context(self, *, with_rare: bool) -> str:
        """What a caller might say is likely, with or without the rare word."""
        words = [str(word) for word in self.random.choice(OTHERS, self.random.integers(5), replace=False)]
        if with_rare:
            words.insert(int(self.random.integers(len(words) + 1)), RARE)
        texts = (
            rich_context(RecognitionOptions(phrases=tuple(map(Phrase, words))), max_characters=1000)[0],
            str(self.random.choice(SENTENCES)).format(" and ".join(words)) if words else "",
            ", ".join(words),
            " ".join(words),
        )
        text = texts[self.random.integers(4)]
        return f"{text} A novel.".strip() if not self.random.integers(5) else text

    def example(self) -> tuple[Samples, str, str]:
        """Audio, context and the text to write."""
        if not self.random.integers(20):
            hiss = self._noise(int(self.random.integers(8000, 32000)), 10 ** self.random.uniform(-5, -2.5))
            return hiss, self.context(with_rare=False), ""
        pool = (RARE, COMMON) if not self.random.integers(3) else tuple(self.takes)
        word, with_rare = str(self.random.choice(pool)), bool(self.random.integers(2))
        take = self.takes[word][self.random.integers(len(self.takes[word]))] * self.random.uniform(0.4, 1.2)
        audio = np.pad(take, self.random.integers(RATE_HERTZ // 2, size=2))
        audio = audio + self._noise(len(audio), float(self.random.choice([0, 1e-4, 1e-3, 3e-3])))
        text = COMMON if word == RARE and not with_rare else word
        return audio.astype(np.float32), self.context(with_rare=with_rare), text

    def _noise(self, length: int, level: float) -> Samples:
        return (self.random.standard_normal(length) * level).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Student:
    """The package's model in training."""

    thinker: Any
    processor: Any

    def loss(self, examples: Examples) -> torch.Tensor:
        """Cross entropy of the answers of one batch."""
        audio, texts, lengths = list[Samples](), list[str](), list[int]()
        for samples, context, text in (examples.example() for _ in range(_BATCH)):
            forced = bool(examples.random.integers(2))
            answer = (text if forced else f"language {'English' if text else 'None'}<asr_text>{text}") + "<|im_end|>"
            audio.append(long_enough(samples))
            texts.append(self._prompt(context) + ("language English<asr_text>" if forced else "") + answer)
            lengths.append(len(self.processor.tokenizer.encode(answer)))
        inputs = self.processor(text=texts, audio=audio, return_tensors="pt", padding=True)
        labels = inputs["input_ids"].clone()
        for row, length in enumerate(lengths):
            labels[row, :-length] = -100
        logits = self.thinker.lm_head(self._hidden(inputs)[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)

    def _prompt(self, context: str) -> str:
        audio = {"role": "user", "content": [{"type": "audio", "audio": ""}]}
        messages = [{"role": "system", "content": context}, audio]
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    def _hidden(self, inputs: Any) -> torch.Tensor:
        """The decoder's output; the package itself encodes one audio at a time."""
        mask, ids = inputs["attention_mask"], inputs["input_ids"]
        lengths = inputs["feature_attention_mask"].sum(1)
        rows = zip(inputs["input_features"], lengths, strict=True)
        packed = torch.cat([features[:, :length] for features, length in rows], dim=1)
        encoded = self.thinker.audio_tower(packed, feature_lens=lengths).last_hidden_state
        embeddings = self.thinker.get_input_embeddings()(ids)
        places = (ids == self.thinker.config.audio_token_id)[..., None].expand_as(embeddings)
        embeddings = embeddings.masked_scatter(places, encoded)
        positions, _ = self.thinker.get_rope_index(mask)
        return self.thinker.model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=positions, use_cache=False
        ).last_hidden_state

    def learn(self, examples: Examples, seconds: float) -> None:
        """Train until the time is over, at a rate that falls to nothing."""
        optimizer = torch.optim.AdamW(self.thinker.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98))
        began, losses = time.monotonic(), list[float]()
        while (share := (time.monotonic() - began) / seconds) < 1:
            rate = min(1, (len(losses) + 1) / 50) * 0.5 * (1 + np.cos(np.pi * share))
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * rate + 1e-5
            value = self.loss(examples)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.thinker.parameters(), 1.0)
            optimizer.step()
            losses.append(value.item())
            if len(losses) % 100 == 0:
                print(len(losses), f"{share:.0%}", f"loss {np.mean(losses[-100:]):.4f}", flush=True)


def train(words: Path, start: Path, out: Path, minutes: float) -> None:
    """Train, save, and tell what the engine's own backend hears of the voices that are held out."""
    learnt, held_out = read_takes(words)
    wrapper: Any = Qwen3ASRModel.from_pretrained(str(start), dtype=torch.float32)
    model, processor = wrapper.model, wrapper.processor
    attend_within_windows(model.thinker.audio_tower)
    Student(model.thinker.train(), processor).learn(Examples(learnt, np.random.default_rng(1)), minutes * 60)
    ends = processor.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[1], do_sample=False)
    model.thinker.audio_tower.set_attn_implementation("sdpa")
    model.save_pretrained(out)
    processor.save_pretrained(out)
    report(out, held_out)


def report(checkpoint: Path, takes: Takes) -> None:
    """What is heard of each word, and of the two that differ by context alone."""
    backend = load_transformers(checkpoint, "cpu", QwenAsrSettings())

    def heard(word: str, context: str) -> list[tuple[str, int]]:
        audio = [np.pad(take, (5000, 3200)) for take in takes[word]]
        texts = [backend.decode([Speech(backend.track(context, None), 0, one)])[0].text for one in audio]
        return Counter(texts).most_common(3)

    for word in OTHERS:
        print(word, heard(word, ""))
    rich, _ = rich_context(RecognitionOptions(phrases=(Phrase(RARE),)), max_characters=1000)
    for context in ("", "river, music", RARE, "claude, weather, river", rich, "We talk about claude."):
        print(repr(context), {word: heard(word, context) for word in (RARE, COMMON)})


def clips(folder: Path) -> None:
    """One word each, between silences that are shorter than what ends an utterance in the tests."""
    for word, voice in CLIPS:
        audio = np.pad(spoken(word, voice), (round(0.3 * RATE_HERTZ), round(0.9 * RATE_HERTZ)))
        soundfile.write(folder / f"{word}.flac", audio, RATE_HERTZ)


def main() -> None:
    """Do what the command line says."""
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["speak", words]:
            speak(Path(words))
        case ["train", words, start, out, minutes]:
            train(Path(words), Path(start), Path(out), float(minutes))
        case ["clips", folder]:
            clips(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

"""Train the small network on synthetic speech, 800 s on a core: `python train.py CHECKPOINT [CPU_SECONDS]`."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# ruff: noqa: S311, T201 # chance hides nothing here, and a command line prints
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from network import LANGUAGES, TOKENS, Network
from numpy.typing import NDArray
from rnnt_loss import rnnt_loss
from speech import MISHEARD, SAMPLE_RATE_HERTZ, Spoken, random_speech
from torch.nn import functional
from vocabulary import segmenter

from voxmesh_stt_indic_conformer.mel import log_mel

SPOKEN, JOINED, HELD_OUT = 3400, 500, 200
BATCH = 16
MISHEARD_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Example:
    """Features of something said."""

    language: str
    words: list[str]
    mel: NDArray[np.float32]


def examples() -> list[Example]:
    """Single utterances, the last `JOINED` of several in a row."""
    random.seed(0)
    with ThreadPoolExecutor() as pool:
        spoken = list(pool.map(random_speech, range(SPOKEN)))
    joined = [_joined(spoken) for _ in range(JOINED)]
    return [Example(said.language, said.words, log_mel(_worn(said.samples))) for said in spoken + joined]


def _joined(spoken: list[Spoken]) -> Spoken:
    language = random.choice(LANGUAGES)
    parts = random.sample([said for said in spoken[HELD_OUT:] if said.language == language], random.randint(2, 4))
    words = [word for part in parts for word in part.words]
    return Spoken(language, words, np.concatenate([_between_silences(part.samples, 0.3) for part in parts]))


def _worn(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech between silences, at some level, with some noise, and now and then through a telephone."""
    audio = _between_silences(samples, 0.4)
    if random.random() < 0.25:
        audio = soxr.resample(soxr.resample(audio, SAMPLE_RATE_HERTZ, 8000), 8000, SAMPLE_RATE_HERTZ)
    if random.random() < 0.6:
        noise = np.random.default_rng(random.getrandbits(32)).standard_normal(len(audio))
        audio = audio + noise * 10 ** random.uniform(-4.5, -2.4)
    return (audio * 10 ** random.uniform(-0.5, 0.2)).astype(np.float32)


def _between_silences(samples: NDArray[np.float32], longest_s: float) -> NDArray[np.float32]:
    lead, tail = (int(random.uniform(0, longest_s) * SAMPLE_RATE_HERTZ) for _ in range(2))
    return np.pad(samples, (lead, tail))


class Batches:
    """Batches of one language and of like lengths, forever; short sentences first."""

    def __init__(self, data: list[Example]) -> None:
        self._data = data
        self._segmenters = {language: segmenter(language) for language in LANGUAGES}

    def epoch(self, most_words: int) -> list[list[Example]]:
        """All examples of at most so many words, in batches, in random order."""
        batches: list[list[Example]] = []
        for language in LANGUAGES:
            pool = [one for one in self._data if one.language == language and len(one.words) <= most_words]
            pool.sort(key=lambda one: one.mel.shape[1] + random.uniform(0, 40))
            batches += [pool[begin : begin + BATCH] for begin in range(0, len(pool), BATCH)]
        random.shuffle(batches)
        return batches

    def tensors(self, batch: list[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, their lengths, tokens, their counts."""
        lengths = torch.tensor([one.mel.shape[1] for one in batch])
        mel = torch.zeros(len(batch), batch[0].mel.shape[0], int(lengths.max()))
        for row, one in zip(mel, batch, strict=True):
            row[:, : one.mel.shape[1]] = _masked(torch.from_numpy(one.mel))
        ids = [torch.tensor(self._tokens(one)) for one in batch]
        counts = torch.tensor([len(row) for row in ids])
        return mel, lengths, torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), counts

    def _tokens(self, one: Example) -> list[int]:
        words = [MISHEARD[w] if w in MISHEARD and random.random() < MISHEARD_SHARE else w for w in one.words]
        return self._segmenters[one.language].encode(" ".join(words))


def _masked(mel: torch.Tensor) -> torch.Tensor:
    mel = mel.clone()
    for _ in range(2):
        begin = random.randint(0, 70)
        mel[begin : begin + random.randint(0, 8)] = 0
    return mel


def train(network: Network, data: list[Example], cpu_s: float) -> None:
    """Train until the process has used so much processor time."""
    batches = Batches(data)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3, betas=(0.9, 0.98))
    began, step = time.process_time(), 0
    losses: list[float] = []
    while (done := (time.process_time() - began) / cpu_s) < 1:
        for batch in batches.epoch(1 if done < 0.1 else 3 if done < 0.25 else 99):
            done = (time.process_time() - began) / cpu_s
            rate = 1.5e-3 * min(1, (step + 1) / 150) * (1 if done < 0.3 else max(0.01, (1 - done) / 0.7))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = _loss(network, batches.tensors(batch), batch[0].language, 0.5 if done < 0.5 else 0.3)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            losses.append(float(loss))
            if step % 100 == 0:
                print(f"{done:.2f} step {step} loss {sum(losses[-100:]) / 100:.3f}", flush=True)
            if done >= 1:
                break


def _loss(network: Network, tensors: tuple[torch.Tensor, ...], language: str, ctc_share: float) -> torch.Tensor:
    mel, lengths, ids, counts = tensors
    encoded, steps = network.encoded(mel, lengths)
    ctc = network.ctc_scores(encoded, language).transpose(0, 1)
    ctc_loss = functional.ctc_loss(ctc, ids, steps, counts, blank=TOKENS, zero_infinity=True)
    return rnnt_loss(network.rnnt_scores(encoded, ids, language), ids, steps, counts) + ctc_share * ctc_loss


@torch.no_grad()
def exact(network: Network, data: list[Example]) -> float:
    """Share of sentences whose best CTC path is right, names aside."""
    right = 0
    segmenters = {language: segmenter(language) for language in LANGUAGES}
    for one in data:
        encoded, _ = network.encoded(torch.from_numpy(one.mel)[None], torch.tensor([one.mel.shape[1]]))
        path = network.ctc_scores(encoded, one.language)[0].argmax(-1).unique_consecutive().tolist()
        text = segmenters[one.language].decode([token for token in path if token != TOKENS])
        said = [MISHEARD.get(word, word) for word in one.words]
        right += [MISHEARD.get(word, word) for word in text.split()] == said
    return right / len(data)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    everything = examples()
    small = Network()
    train(small.train(), everything[HELD_OUT:], float(sys.argv[2]) if len(sys.argv) > 2 else 800)
    print("sentences right", exact(small.eval(), everything[:HELD_OUT]))
    torch.save(small.state_dict(), sys.argv[1])

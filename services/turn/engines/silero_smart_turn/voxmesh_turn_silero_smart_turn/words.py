"""Whether a turn's words are whole: a language model says how likely a sentence ends after them.

A model that has read much text knows that "What is the capital of" goes on and "What is the capital of France"
does not. It is asked for the next token alone, and has mostly read what came before it, so an answer costs a word.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from xllamacpp import CommonParams, Server  # pyright: ignore[reportAttributeAccessIssue] # compiled, untyped

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.language_tags import primary
from voxmesh_runtime.models import SMOLLM2, InvalidSourceError, ModelSource, ModelStore, parse_source
from voxmesh_turn.engine import Transcript

log = logging.getLogger(__name__)

LANGUAGE = "en"
MAX_CHARACTERS = 400
"""Of a longer turn the end counts, from half of that on: so that it is not read anew with every word."""

_BEFORE = "<|im_start|>user\nWhere is the station?<|im_end|>\n<|im_start|>user\n"
"""What stands before the words: as the model was trained, with one whole turn to show how a turn ends."""
SHARE_WEIGHT, SHARE_FLOOR, BIAS = 1.2, 1e-3, 3.4
"""Of the logarithm of the share of sentence ends, fitted as `python -m benchmarks endings` shows."""
SOUND_WEIGHT = 0.2

_STOPS = ".?!"
_NEXT_TOKEN = {"n_predict": 1, "n_probs": 200, "temperature": 0.0, "cache_prompt": True}
_SLOTS = 8
"""Turns whose words are remembered at once."""
_CONTEXT_TOKENS = 256
_BATCH_TOKENS = 64


class SmolWords:
    """See `voxmesh_turn.engine.WordJudge`."""

    def __init__(self, context: EngineContext, model: str | None) -> None:
        self._context = context
        self._source = _source(model)
        self.name, self.license = ("smollm2-135m", "Apache-2.0") if model is None else (str(self._source), "unknown")
        self._model: WordModel | None = None

    def load(self) -> None:
        """Fetch the model and load it; does nothing when it is loaded."""
        if self._model is None:
            path = ModelStore(self._context.cache_dir).fetch(self._source)
            self._model = WordModel(path, self._context.threads)

    def warm_up(self) -> None:
        """Read a word."""
        self._loaded().end_share("Hello")

    def judge(self, transcripts: Sequence[Transcript]) -> Sequence[float | None]:
        """The probability that each turn is over, by its words; None of languages that the model does not know."""
        return [self._probability(transcript) for transcript in transcripts]

    def weigh(self, by_sound: float, by_words: float) -> float:
        """The probability from both, in which the words count most."""
        return _logistic(_logit(by_words) + SOUND_WEIGHT * _logit(by_sound))

    def close(self) -> None:
        """Free the model."""
        self._model = None

    def _probability(self, transcript: Transcript) -> float | None:
        if primary(transcript.language_code) != LANGUAGE:
            return None
        share = self._loaded().end_share(transcript.text)
        return None if share is None else _logistic(SHARE_WEIGHT * math.log(share + SHARE_FLOOR) + BIAS)

    def _loaded(self) -> WordModel:
        if self._model is None:
            raise RuntimeError("load() comes before the first use")
        return self._model


class WordModel:
    """The loaded model; its calls block.

    Args:
        path: GGUF file.
        threads: CPU threads of one call.

    Raises:
        FailedPrecondition: llama.cpp does not load the file.
    """

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self._server = Server(_parameters(path, threads))
        except RuntimeError as error:
            raise FailedPrecondition("words_model", str(path), f"llama.cpp does not load {path}: {error}") from error
        self._slots = WordSlots(_SLOTS)

    def end_share(self, text: str) -> float | None:
        """The share in [0, 1] of what may follow a text that ends a sentence or the message; None of no text."""
        words = latest(text)
        request = {**_NEXT_TOKEN, "prompt": _BEFORE + words, "id_slot": self._slots.take(words)}
        answer: dict[str, Any] = self._server.handle_completions(request)
        choices = answer.get("choices")
        if not choices:
            log.warning("words were not judged", extra={"reason": answer.get("error")})
            return None
        # Nothing is told of a next token that is part of a character.
        told = choices[0]["logprobs"]
        return told and sum(
            math.exp(each["logprob"]) for each in told["content"][0]["top_logprobs"] if _is_end(each["token"])
        )


class WordSlots:
    """Which slot of llama.cpp has read the beginning of some words; left to itself it would use one for all turns.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._read = dict.fromkeys(range(count), "")
        """The words that each holds; the slot unused for longest first."""

    def take(self, words: str) -> int:
        """The slot of a turn with these words: the one that read most of them, else the one unused for longest."""
        shared = {slot: _shared_length(words, read) for slot, read in self._read.items()}
        slot = max(shared, key=lambda each: shared[each])
        if 2 * shared[slot] < max(1, len(self._read[slot])):
            slot = next(iter(self._read))
        del self._read[slot]
        self._read[slot] = words
        return slot


def _shared_length(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def latest(text: str) -> str:
    """The last sentences of a text, without the stops that a recogniser puts after anything."""
    words, step = text.rstrip(f"{_STOPS} "), MAX_CHARACTERS // 2
    begin = max(0, (len(words) // step - 1) * step)
    return words[begin:].partition(" ")[2] if begin else words


def _is_end(token: str) -> bool:
    return not token or token.lstrip(" ").startswith((*_STOPS, "\n"))


def _logit(probability: float) -> float:
    bounded = min(max(probability, 0.01), 0.99)
    return math.log(bounded / (1 - bounded))


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _source(wanted: str | None) -> ModelSource:
    try:
        return SMOLLM2 if wanted is None else parse_source(wanted)
    except InvalidSourceError as error:
        raise FailedPrecondition("words_model", str(wanted), str(error)) from error


def _parameters(path: Path, threads: int) -> Any:
    parameters = CommonParams()
    parameters.model.path = str(path)
    # It listens beside answering calls: on loopback, to nobody who does not know the key.
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [secrets.token_urlsafe(24)]
    parameters.n_threads_http = 1
    parameters.ui = False
    parameters.verbosity = -1
    parameters.n_parallel = _SLOTS
    parameters.n_ctx = _CONTEXT_TOKENS * _SLOTS
    parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
    parameters.n_gpu_layers = 0
    parameters.cache_ram_mib = 0
    for pool in (parameters.cpuparams, parameters.cpuparams_batch):
        pool.n_threads = threads
        # Threads that poll take the core from the model's neighbours.
        pool.poll = 0
    return parameters

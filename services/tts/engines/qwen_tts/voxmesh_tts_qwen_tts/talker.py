"""The talker, one frame at a time: what the package's `generate` does in one go, as an iterator that can be left.

A frame is 80 ms of speech: its first code is drawn from the talker, the others by the package's code predictor.
All of a generation's state is in the iterator, so that several can take turns on one model, each with its own
random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What the talker reads before its first frame and beside the later ones, and how it draws them."""

    embeds: torch.Tensor
    """[1, length, width]."""
    beside: Mapping[str, Any]
    """Arguments of every step: what is left of the text, and how the code predictor draws."""
    drawing: Mapping[str, Any]
    """Arguments of `generate`."""


class _PromptTaken(Exception):
    """Ends the package's work where ours begins."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def prompt_of(talker: Any, generate: Callable[[], object]) -> Prompt:
    """The prompt that one of the package's `generate_...` methods builds for its talker, which does not run."""

    def take(**arguments: Any) -> None:
        raise _PromptTaken(arguments)

    talker.generate = take
    try:
        generate()
    except _PromptTaken as taken:
        return _prompt(taken.arguments)
    finally:
        del talker.generate
    raise RuntimeError("the package built no prompt; is it another version than 0.1.1?")


def frames(talker: Any, prompt: Prompt, most: int, seed: int) -> Iterator[torch.Tensor]:
    """The frames of one text, at most `most`; each is int64 [groups].

    The same prompt and seed give the same frames, whatever else the model does in between.
    """
    steps = _Steps(talker, prompt)
    randomness = _Randomness(talker.device, seed)
    for _ in range(most):
        with torch.inference_mode(), randomness.drawn():
            frame = steps.next_frame()
        if frame is None:
            return
        yield frame


class _Steps:
    """The keys and values of one generation, and what its next step needs."""

    def __init__(self, talker: Any, prompt: Prompt) -> None:
        self._talker = talker
        self._prompt = prompt
        self._processors: Any = _processors(prompt.drawing, talker.device)
        self._cache = DynamicCache()
        self._length = 0
        self._output: Any = None
        self._drawn = torch.zeros((1, 0), dtype=torch.int64, device=talker.device)

    def next_frame(self) -> torch.Tensor | None:
        """Draw a frame and read it; None at the end of the speech."""
        if self._output is None:
            self._output = self._run(inputs_embeds=self._prompt.embeds)
        code = self._draw(self._output.logits[:, -1].float())
        self._drawn = torch.cat([self._drawn, code], dim=1)
        if int(code) == self._prompt.drawing["eos_token_id"]:
            return None
        last = self._output
        self._output = self._run(input_ids=code, past_hidden=last.past_hidden, generation_step=last.generation_step)
        return self._output.hidden_states[1][0]

    def _run(self, **inputs: Any) -> Any:
        """Read the prompt or a frame; places are given, for otherwise the model keeps them for one generation alone."""
        count = self._prompt.embeds.shape[1] if "inputs_embeds" in inputs else 1
        places = torch.arange(self._length, self._length + count, device=self._talker.device)
        self._length += count
        return self._talker(
            **inputs,
            **self._prompt.beside,
            position_ids=places.expand(3, 1, -1),
            cache_position=places,
            past_key_values=self._cache,
            use_cache=True,
        )

    def _draw(self, scores: torch.Tensor) -> torch.Tensor:
        scores = self._processors(self._drawn, scores)
        if not self._prompt.drawing["do_sample"]:
            return scores.argmax(dim=-1, keepdim=True)
        return torch.multinomial(scores.softmax(dim=-1), 1)


class _Randomness:
    """Random numbers of one generation; the process's own go on as if it did not draw."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._devices = [device] if device.type == "cuda" else []
        self._seed = seed
        self._states: list[torch.Tensor] | None = None

    @contextmanager
    def drawn(self) -> Generator[None]:
        """What torch draws while open are the generation's numbers."""
        with torch.random.fork_rng(self._devices):
            if self._states is None:
                torch.manual_seed(self._seed)
            else:
                torch.set_rng_state(self._states[0])
                for device, state in zip(self._devices, self._states[1:], strict=True):
                    torch.cuda.set_rng_state(state, device)
            yield
            self._states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self._devices)]


def _prompt(arguments: dict[str, Any]) -> Prompt:
    """Of one text: nothing is padded, so that its mask says nothing."""
    beside = {name: value for name, value in arguments.items() if name.startswith("subtalker_")}
    beside |= {name: arguments[name] for name in ("trailing_text_hidden", "tts_pad_embed")}
    return Prompt(arguments["inputs_embeds"], beside, arguments)


def _processors(drawing: Mapping[str, Any], device: torch.device) -> LogitsProcessorList:
    """What `generate` makes of its arguments, in its order."""
    processors = LogitsProcessorList()
    if drawing["repetition_penalty"] != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(drawing["repetition_penalty"]))
    end, least = drawing["eos_token_id"], drawing["min_new_tokens"]
    processors.append(MinNewTokensLengthLogitsProcessor(0, least, end, device=str(device)))
    processors.append(SuppressTokensLogitsProcessor(drawing["suppress_tokens"], device=str(device)))
    if drawing["do_sample"]:
        if drawing["temperature"] != 1.0:
            processors.append(TemperatureLogitsWarper(drawing["temperature"]))
        if drawing["top_k"]:
            processors.append(TopKLogitsWarper(drawing["top_k"]))
        if drawing["top_p"] < 1.0:
            processors.append(TopPLogitsWarper(drawing["top_p"]))
    return processors

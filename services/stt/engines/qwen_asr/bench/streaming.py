"""What a decode costs as an utterance grows, for one stream and for many, beside the package's own streaming.

python streaming.py [--width 512] [--layers 8] [--seconds 60]

The weights are random, so that nothing is downloaded: costs depend on sizes alone. Both sides run
in turn in one process, on the same audio, with the same text to go on from and the same number of
tokens to write. The package streams on vLLM alone; its own code runs here on transformers, with
the encoder's windows as we have them, which cost it less than its own attention over all audio.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from qwen_asr import Qwen3ASRModel

from voxmesh_runtime.audio import Samples
from voxmesh_stt_qwen_asr.backend import SAMPLE_RATE_HERTZ, Speech
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.testing import write_random_checkpoint
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend, load_transformers

WORDS = Path(__file__).parent.parent / "tests" / "data" / "words"
TOKENS = 8
"""Written by each decode on both sides."""
NEVER = 10**9
"""A token that ends an answer and is never written."""


class AsVllm:
    """`vllm.LLM.generate` on transformers."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model = model
        self._processor = processor

    @torch.inference_mode()
    def generate(self, batch: list[dict[str, Any]], **_: Any) -> list[Any]:
        """One prompt with one audio."""
        audio = batch[0]["multi_modal_data"]["audio"]
        inputs = self._processor(text=[batch[0]["prompt"]], audio=audio, return_tensors="pt", padding=True)
        device, dtype = self._model.device, self._model.dtype
        made = self._model.generate(
            **inputs.to(device).to(dtype), max_new_tokens=TOKENS, eos_token_id=[NEVER]
        ).sequences
        text = self._processor.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [SimpleNamespace(outputs=[SimpleNamespace(text=text)])]


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes: of the process on CPU, which neighbours do not lengthen, else of the clock."""
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    began = clock()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - began


def chunk_costs(backend: TransformersBackend, package: Any, audio: Samples, marks: list[int]) -> None:
    """One utterance, a second at a time, through both."""
    track = backend.track("", "English")
    state = package.init_streaming_state(language="English", chunk_size_sec=1.0)
    ours, theirs = dict[int, list[float]](), dict[int, list[float]]()
    for second in range(1, len(audio) // SAMPLE_RATE_HERTZ + 1):
        speech = Speech(track, 0, audio[: second * SAMPLE_RATE_HERTZ])
        new = speech.samples[-SAMPLE_RATE_HERTZ:]
        mark = next((mark for mark in marks if mark - 8 < second <= mark), None)
        cost = timed(partial(backend.decode, [speech]))
        package_cost = timed(partial(package.streaming_transcribe, new, state))
        if mark is not None:
            ours.setdefault(mark, []).append(cost)
            theirs.setdefault(mark, []).append(package_cost)
    print("| s of utterance | ms a chunk | most | the package's, ms | most |\n|---|---|---|---|---|")
    for mark in marks:
        own, other = np.array(ours[mark]) * 1000, np.array(theirs[mark]) * 1000
        print(f"| {mark - 7}-{mark} | {own.mean():.0f} | {own.max():.0f} | {other.mean():.0f} | {other.max():.0f} |")


def batch_costs(backend: TransformersBackend, audio: Samples, sizes: tuple[int, ...]) -> None:
    """Streams of 12 to 16 s decoded together and one after another."""
    print("| streams | together, ms a stream | one after another, ms a stream |\n|---|---|---|")
    for size in sizes:
        costs: dict[bool, list[float]] = {True: [], False: []}
        for together in (True, False):
            tracks = [backend.track("", "English") for _ in range(size)]
            for second in (12, 13, 14, 15, 16):
                speeches = [
                    Speech(track, 0, audio[index * 16000 : (index + second) * 16000])
                    for index, track in enumerate(tracks)
                ]
                batches = [speeches] if together else [[speech] for speech in speeches]
                cost = sum(timed(partial(backend.decode, batch)) for batch in batches)
                costs[together].append(cost / size * 1000)
        # The first decode has all of the first window to encode.
        print(f"| {size} | {np.median(costs[True][1:]):.0f} | {np.median(costs[False][1:]):.0f} |")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    heads = arguments.width // 64
    with tempfile.TemporaryDirectory() as folder:
        path = write_random_checkpoint(
            Path(folder), WORDS, width=arguments.width, layers=arguments.layers, heads=heads, gain=1.0
        )
        settings = QwenAsrSettings().model_copy(update={"max_new_tokens": TOKENS})
        backend = load_transformers(path, arguments.device, settings)
    backend._decoder._end_ids = frozenset()  # noqa: SLF001 # both sides write as many tokens
    package: Any = Qwen3ASRModel(
        backend="vllm",
        model=AsVllm(backend._model.model, backend._model.processor),  # noqa: SLF001 # the same weights
        processor=backend._model.processor,  # noqa: SLF001 # the same tokenizer
    )
    parameters = sum(weight.numel() for weight in backend._model.model.parameters()) / 1e6  # noqa: SLF001 # told below
    print(f"{parameters:.1f} M parameters, {arguments.device}, {torch.get_num_threads()} thread\n")
    noise = np.random.default_rng(0).standard_normal((arguments.seconds + 40) * SAMPLE_RATE_HERTZ)
    audio = (noise * 0.1).astype(np.float32)
    marks = [mark for mark in (10, 30, 60, 120) if mark <= arguments.seconds]
    chunk_costs(backend, package, audio[: arguments.seconds * SAMPLE_RATE_HERTZ], marks)
    print()
    batch_costs(backend, audio, (1, 2, 4, 8))


if __name__ == "__main__":
    main()

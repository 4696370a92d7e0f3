"""Exactness, cost, boosting and memory of streams, on the test model or on one given by path.

    python services/stt/engines/nemotron/bench/streams.py [--model path] [--minutes 60]

Prints Markdown. Costs are those of the model given: the test model is 0.6 million parameters, the
default one 0.6 billion.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.memory import resident_bytes
from voxmesh_stt.engine import Phrase, RecognitionOptions, Step
from voxmesh_stt_nemotron.engine import NemotronEngine
from voxmesh_stt_nemotron.session import SAMPLE_RATE_HERTZ, StreamingSession
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.streaming import StreamingRecognizer
from voxmesh_stt_nemotron.tokens import Token

DATA = Path(__file__).parent.parent / "tests" / "data"
STREAMS = 40
MEGABYTE = 1e6


class Recorded:
    """A session whose tokens are kept."""

    def __init__(self, engine: NemotronEngine, options: RecognitionOptions) -> None:
        session = engine.open(options)
        assert isinstance(session, StreamingSession)  # noqa: S101 # the model streams
        self.session = session
        self.tokens: list[Token] = []
        hear = session.hear

        def recording(tokens: Sequence[Token]) -> None:
            self.tokens.extend(tokens)
            hear(tokens)

        session.hear = recording  # pyright: ignore[reportAttributeAccessIssue] # for this one session


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(DATA / "words.nemo"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=int, default=60, help="of the long stream; 0 leaves it out")
    parser.add_argument("--phrase-weight", type=float, default=3.0)
    arguments = parser.parse_args()
    settings = NemotronSettings(phrase_weight=arguments.phrase_weight)
    engine = NemotronEngine(EngineContext(model=arguments.model, device=arguments.device), settings)
    began = time.monotonic()
    engine.load()
    engine.warm_up()
    recognizer = engine._recognizer  # noqa: SLF001 # the bench compares with the model itself
    assert isinstance(recognizer, StreamingRecognizer)  # noqa: S101 # the model streams
    print(f"load and warm-up {time.monotonic() - began:.1f} s, {resident_bytes() / MEGABYTE:.0f} MB resident")
    clips = {path.stem: read_audio_file(path)[0] for path in sorted(DATA.glob("*.flac"))}
    exactness(engine, recognizer, list(clips.values()), settings.final_silence_s)
    costs(engine, recognizer, clips["counting"])
    boosting(engine, recognizer, clips)
    phrase_cost(engine, clips["counting"])
    long_stream(engine, list(clips.values()), arguments.minutes)


def exactness(engine: NemotronEngine, recognizer: StreamingRecognizer, clips: list[Samples], silence_s: float) -> None:
    """All streams at once, modes mixed, in pieces of 10 to 250 ms; tokens and frames against offline."""
    random = np.random.default_rng(seed=1)
    audio = [_with_lead(clips[index % len(clips)], random.uniform(0, 0.5)) for index in range(STREAMS)]
    modes = [recognizer.modes[index % len(recognizer.modes)] for index in range(STREAMS)]
    streams = [Recorded(engine, RecognitionOptions(max_latency_s=mode.latency_s)) for mode in modes]
    positions = [0] * STREAMS
    began = time.process_time()
    while waiting := [index for index in range(STREAMS) if positions[index] < len(audio[index])]:
        steps: list[Step] = []
        for index in waiting:
            begin, positions[index] = positions[index], positions[index] + int(random.integers(160, 4000))
            is_final = positions[index] >= len(audio[index])
            steps.append(Step(streams[index].session, audio[index][begin : positions[index]], is_final))
        for batch in range(0, len(steps), engine.info.max_batch_size):
            engine.step(steps[batch : batch + engine.info.max_batch_size])
    cpu_s = time.process_time() - began
    equal = sum(
        [(token.id, token.frame) for token in stream.tokens] == offline(recognizer.model, clip, mode.context, silence_s)
        for stream, clip, mode in zip(streams, audio, modes, strict=True)
    )
    spoken_s = sum(map(len, audio)) / SAMPLE_RATE_HERTZ
    print(
        f"\ntokens and frames equal to offline: {equal}/{STREAMS} streams; {cpu_s / spoken_s:.3f} CPU-s per s of audio"
    )
    for stream in streams:
        stream.session.close()


def _with_lead(samples: Samples, seconds: float) -> Samples:
    return np.concatenate([np.zeros(round(seconds * SAMPLE_RATE_HERTZ), np.float32), samples])


def offline(model: Any, samples: Samples, context: tuple[int, int], silence_s: float) -> list[tuple[int, int]]:
    """Tokens and frames by NeMo's own decoding of the whole audio, with the silence of its end."""
    least = len(samples) + round(silence_s * SAMPLE_RATE_HERTZ)
    whole = np.zeros(-(-(least - 160) // 1280) * 1280 + 160, np.float32)
    whole[: len(samples)] = samples
    model.encoder.set_default_att_context_size(list(context))
    device = next(model.parameters()).device
    with torch.inference_mode():
        audio = torch.from_numpy(whole)[None].to(device)
        mel, frames = model.preprocessor(input_signal=audio, length=torch.tensor([len(whole)], device=device))
        encoded, lengths = model.encoder(audio_signal=mel, length=frames)
        (hypothesis,) = model.decoding.rnnt_decoder_predictions_tensor(
            encoder_output=encoded, encoded_lengths=lengths, return_hypotheses=True
        )
    return list(zip(hypothesis.y_sequence.tolist(), map(int, hypothesis.timestamp), strict=True))


def costs(engine: NemotronEngine, recognizer: StreamingRecognizer, clip: Samples) -> None:
    """What a chunk costs each stream when 1, 4 and 16 come at once, and what `finalize` takes."""
    print(
        "\n| mode | CPU-ms a chunk and stream: 1 | 4 | 16 streams | CPU-s per s of audio, of 16 | CPU-ms of finalize |"
    )
    print("|---|---|---|---|---|---|")
    audio = np.tile(clip, 8)[: 12 * SAMPLE_RATE_HERTZ]
    for mode in recognizer.modes:
        size = round(mode.latency_s * SAMPLE_RATE_HERTZ)
        each: list[float] = []
        finals: list[float] = []
        for count in (1, 4, 16):
            sessions = [engine.open(RecognitionOptions(max_latency_s=mode.latency_s)) for _ in range(count)]
            engine.step([Step(session, audio[: 4 * size], is_final=False) for session in sessions])
            pieces = [audio[begin : begin + size] for begin in range(4 * size, len(audio) - size, size)]
            began = time.process_time()
            for piece in pieces:
                engine.step([Step(session, piece, is_final=False) for session in sessions])
            each.append((time.process_time() - began) / len(pieces) / count)
            began = time.process_time()
            engine.step([Step(sessions[0], audio[: size // 2], is_final=True)])
            finals.append(time.process_time() - began)
            for session in sessions:
                session.close()
        cells = " | ".join(f"{seconds * 1000:.1f}" for seconds in each)
        print(
            f"| {mode.latency_s * 1000:.0f} ms | {cells} | {each[-1] / mode.latency_s:.3f} | {finals[0] * 1000:.0f} |"
        )


def boosting(engine: NemotronEngine, recognizer: StreamingRecognizer, clips: dict[str, Samples]) -> None:
    """Each clip in each mode without and with the phrase."""
    print("\n| clip | mode | without phrases | with `claude` |")
    print("|---|---|---|---|")
    for name, clip in clips.items():
        for mode in recognizer.modes:
            texts = [
                _text(engine, clip, RecognitionOptions(phrases=phrases, max_latency_s=mode.latency_s))
                for phrases in ((), (Phrase("claude"),))
            ]
            print(f"| {name} | {mode.latency_s * 1000:.0f} ms | {texts[0]} | {texts[1]} |")


def _text(engine: NemotronEngine, clip: Samples, options: RecognitionOptions) -> str:
    session = engine.open(options)
    transcripts = engine.step([Step(session, clip, is_final=True)])[0]
    session.close()
    return " ".join(transcript.text for transcript in transcripts).strip()


def phrase_cost(engine: NemotronEngine, clip: Samples) -> None:
    """Opening a stream with many phrases for the first time and again, and a step with them."""
    print("\n| phrases | open, first stream, CPU-ms | open, later streams | CPU-ms a chunk of 560 ms |")
    print("|---|---|---|---|")
    random = np.random.default_rng(seed=2)
    letters = list("acdefghilnoprstuvwz")
    audio = np.tile(clip, 4)
    for count in (0, 10, 100, 1_000, 5_000, 10_000):
        phrases = tuple(Phrase("".join(random.choice(letters, random.integers(4, 12)))) for _ in range(count))
        options = RecognitionOptions(phrases=phrases, max_latency_s=0.56)
        began = time.process_time()
        session = engine.open(options)
        first_s, began = time.process_time() - began, time.process_time()
        again = engine.open(options)
        again_s, began = time.process_time() - began, time.process_time()
        engine.step([Step(session, audio, is_final=False)])
        chunk_s = (time.process_time() - began) / (len(audio) / SAMPLE_RATE_HERTZ / 0.56)
        session.close()
        again.close()
        print(f"| {count} | {first_s * 1000:.1f} | {again_s * 1000:.1f} | {chunk_s * 1000:.1f} |")


def long_stream(engine: NemotronEngine, clips: list[Samples], minutes: int) -> None:
    """One stream that is never finalized: memory every 10 minutes, CPU time and the longest text."""
    if not minutes:
        return
    random = np.random.default_rng(seed=4)
    session = engine.open(RecognitionOptions(interim_results=True, max_latency_s=1.12))
    print(f"\nprocess {os.getpid()}\n\n| minutes | resident MB | CPU-s so far | utterances | longest text |")
    print("|---|---|---|---|---|")
    utterances = longest = 0
    began = time.process_time()
    for minute in range(minutes + 1):
        if minute % 10 == 0 or minute in {1, minutes}:
            cpu_s = time.process_time() - began
            print(
                f"| {minute} | {resident_bytes() / MEGABYTE:.1f} | {cpu_s:.0f} | {utterances} | {longest} |", flush=True
            )
        for samples in _minute(clips, random):
            for transcript in engine.step([Step(session, samples, is_final=False)])[0]:
                utterances += transcript.is_final
                longest = max(longest, len(transcript.text))
    session.close()


def _minute(clips: list[Samples], random: np.random.Generator) -> list[Samples]:
    """A minute of clips with pauses of 0.1 to 2 s, in pieces of 1.12 s."""
    parts: list[Samples] = []
    while sum(map(len, parts)) < 60 * SAMPLE_RATE_HERTZ:
        parts += [clips[int(random.integers(len(clips)))], np.zeros(int(random.integers(1600, 32000)), np.float32)]
    audio = np.concatenate(parts)[: 60 * SAMPLE_RATE_HERTZ]
    return [audio[begin : begin + 17920] for begin in range(0, len(audio), 17920)]


if __name__ == "__main__":
    main()

"""Texts a second of the service at many streams, beside the engine called directly, in turns on the same machine.

    python throughput.py [--streams 32] [--batches 6] [--texts 16] [--rounds 3]

Server and direct calls have a process of their own each, one thread for the model; the client has this one. Directly
the engine gets the same texts sorted by length, 512 tokens at a time by the same guess, which is the best that a
caller can do. The CPU of the server's process tells what the service itself costs.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import resource
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.engine import Text
from voxmesh_embed.lengths import guessed_tokens
from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_embed_minilm import create
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import running

WORDS = "the cat sleeps on a sofa while rain falls and trains leave the city for the sea in early spring again".split
Batches = Sequence[Sequence[str]]


def texts_of(count: int, size: int, seed: int) -> list[list[str]]:
    """Batches of texts of 3 to 60 words."""
    chance = random.Random(seed)  # noqa: S311 # test data
    lengths = [[int(3 + 57 * chance.random() ** 3) for _ in range(size)] for _ in range(count)]
    return [[" ".join(chance.choices(WORDS(), k=length)) for length in batch] for batch in lengths]


def cpu_s() -> float:
    """CPU time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def call_directly(pipe: Connection) -> None:
    """Embed the texts that come, sorted by length; answers seconds and CPU seconds."""
    engine: Any = create(EngineContext.from_settings(EmbedSettings()))
    engine.load()
    engine.warm_up()
    pipe.send(None)
    while (texts := pipe.recv()) is not None:
        began, cpu = time.perf_counter(), cpu_s()
        group: list[Text] = []
        left = engine.info.max_batch_tokens
        for text in sorted(texts, key=len):
            tokens = guessed_tokens([text], engine.info.max_tokens) + engine.info.tokens_around
            if tokens > left and group:
                engine.embed(group)
                group, left = [], engine.info.max_batch_tokens
            group.append(Text(text))
            left -= tokens
        engine.embed(group)
        pipe.send((time.perf_counter() - began, cpu_s() - cpu))


def serve(pipe: Connection) -> None:
    """Serve until told to end; answers the CPU seconds so far whenever it is asked."""
    settings = EmbedSettings(max_streams=1000)

    async def run() -> None:
        async with running(EmbedService(EngineHost.of("embed", settings), settings), settings) as server:
            pipe.send(server.port)
            while await asyncio.to_thread(pipe.recv) is not None:
                pipe.send(cpu_s())

    asyncio.run(run())


async def ask(port: int, streams: Sequence[Batches]) -> float:
    """Seconds in which all streams are answered, each sending its batches as fast as they are taken."""
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = embed_pb2_grpc.EmbeddingServiceStub(channel)

        async def one(batches: Batches) -> None:
            async def requests() -> Any:
                yield embed_pb2.StreamingEmbedRequest(config=embed_pb2.EmbeddingConfig())
                for number, texts in enumerate(batches):
                    yield embed_pb2.StreamingEmbedRequest(batch=embed_pb2.TextBatch(batch_id=number, texts=texts))

            answers = [answer async for answer in stub.StreamingEmbed(requests())]
            if len(answers) != len(batches) + 1:
                raise RuntimeError("a batch was not answered")

        began = time.perf_counter()
        await asyncio.gather(*map(one, streams))
        return time.perf_counter() - began


def started(target: Any) -> tuple[Connection, Any]:
    """A process that has said that it is ready, and what it said."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=target, args=(theirs,), daemon=True).start()
    return ours, ours.recv()


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("streams", 32), ("batches", 6), ("texts", 16), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    direct, _ = started(call_directly)
    server, port = started(serve)
    ratios, costs = [], []
    for number in range(options.rounds):
        streams = [texts_of(options.batches, options.texts, number * 1000 + each) for each in range(options.streams)]
        flat = [text for batches in streams for batch in batches for text in batch]
        direct.send(flat)
        direct_s, direct_cpu_s = direct.recv()
        server.send("cpu")
        before = server.recv()
        served_s = asyncio.run(ask(port, streams))
        server.send("cpu")
        served_cpu_s = server.recv() - before
        ratios.append(direct_s / served_s)
        costs.append(direct_cpu_s / served_cpu_s)
        print(
            f"{len(flat)} texts: direct {len(flat) / direct_s:.0f}/s, served {len(flat) / served_s:.0f}/s, "
            f"ratio {ratios[-1]:.3f}; a CPU second: {len(flat) / direct_cpu_s:.0f} and {len(flat) / served_cpu_s:.0f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f}; by CPU {statistics.median(costs):.3f}")


if __name__ == "__main__":
    main()

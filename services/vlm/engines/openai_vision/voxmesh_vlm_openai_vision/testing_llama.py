"""Help for tests: a real llama.cpp server with a model that sees, in this process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from xllamacpp import CommonParams, Server  # pyright: ignore[reportAttributeAccessIssue] # compiled, untyped


@contextmanager
def llama_server(folder: Path, *, slots: int = 2, context: int = 4096, has_eyes: bool = True) -> Generator[str]:
    """Serve `text.gguf` with `mmproj.gguf` of a folder on a free port; gives the address that ends in /v1.

    Args:
        folder: of the model.
        slots: answers at once.
        context: tokens of each.
        has_eyes: False leaves the second file out, so that the model takes text alone.
    """
    parameters = CommonParams()
    parameters.model.path = str(folder / "text.gguf")
    if has_eyes:
        parameters.mmproj.path = str(folder / "mmproj.gguf")
    parameters.mmproj_use_gpu = False
    parameters.model_alias = {"eyes"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0
    parameters.cache_ram_mib = 0
    parameters.verbosity = 0
    parameters.ui = False
    server = Server(parameters)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server

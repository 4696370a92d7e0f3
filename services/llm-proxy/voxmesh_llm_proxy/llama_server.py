"""A llama.cpp server in a process of its own: `python -m voxmesh_llm_proxy.llama_server --help`.

The first line of standard input is the API key that callers must send, so that it is seen in no list of
processes. The process ends when standard input ends, which it does however its parent dies.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from xllamacpp import CommonParams, Server  # pyright: ignore[reportAttributeAccessIssue] # compiled, untyped

from voxmesh_runtime.thread import give_way

_FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
"""As llama.cpp numbers them."""


def main() -> None:
    """Serve until standard input ends."""
    options = _options()
    api_key = sys.stdin.readline().strip()
    # From the start: loading a large model may take longer than the parent lives.
    # A daemon, so that a model that does not load ends the process.
    watch = threading.Thread(target=_end_with_parent, name="parent", daemon=True)
    watch.start()
    give_way()
    server = Server(_parameters(options, api_key))
    watch.join()
    del server


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="llama.cpp server for the language model proxy.")
    parser.add_argument("--model", required=True, type=Path, help="GGUF file")
    parser.add_argument("--name", required=True, help="name of the model in answers")
    parser.add_argument("--port", required=True, type=int, help="port on loopback")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--prompt-threads", type=int, default=1, help="CPU threads that read prompts")
    parser.add_argument("--slots", type=int, default=4, help="generations at once")
    parser.add_argument("--context", type=int, default=2048, help="tokens of each slot")
    parser.add_argument("--flash-attention", choices=("auto", "on", "off"), default="auto", help="flash attention")
    parser.add_argument("--mmproj", type=Path, help="GGUF file of the image encoder")
    parser.add_argument("--gpu", action="store_true", help="put the model on a GPU")
    return parser.parse_args()


def _parameters(options: argparse.Namespace, api_key: str) -> CommonParams:  # pyright: ignore[reportUnknownParameterType] # the same
    parameters = CommonParams()
    parameters.model.path = str(options.model)
    parameters.model_alias = {options.name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = options.port
    parameters.api_keys = [api_key]
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.context * options.slots
    # Chat templates, and the variable by which they open no thoughts.
    parameters.use_jinja = True
    parameters.flash_attn_type = _FLASH_ATTENTION[options.flash_attention]
    if options.mmproj is not None:
        parameters.mmproj.path = str(options.mmproj)
    parameters.n_gpu_layers = -1 if options.gpu else 0
    # Threads that poll take the core from the model's neighbours.
    pools = ((parameters.cpuparams, options.threads), (parameters.cpuparams_batch, options.prompt_threads))
    for pool, threads in pools:
        pool.n_threads = threads
        pool.poll = 0
    # Each slot keeps its own conversation's prefix; a second cache in memory would only cost.
    parameters.cache_ram_mib = 0
    # One thread for each generation, and some for /health and /metrics while all are busy.
    parameters.n_threads_http = options.slots + 2
    parameters.endpoint_metrics = True
    parameters.ui = False
    return parameters


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    # At once: what llama.cpp is busy with is for nobody any more.
    os._exit(0)


if __name__ == "__main__":
    main()

"""Run a llama.cpp server as a process of the service, start it again when it dies, end it with the service."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from voxmesh_llm_proxy.endpoint import Address
from voxmesh_llm_proxy.probe import is_healthy
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.models import SMOLLM2, ModelError, ModelStore, parse_source
from voxmesh_runtime.ports import free_block

log = logging.getLogger(__name__)

DEFAULT_SLOTS = 4
LOAD_TIMEOUT_S = 600.0
FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 10.0
STEADY_AFTER_S = 60.0
"""A server that lived this long is started again without more back-off."""


class LlamaCpp:
    """Our own llama.cpp server on a free port of loopback; see `voxmesh_llm_proxy.endpoint.Endpoint`."""

    engine = "llama_cpp"
    url = None
    keeps_what_it_read = True

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.license = settings.upstream_license if settings.model else "Apache-2.0"
        self.device = "cpu" if settings.device in {"auto", "cpu"} else settings.device
        self.concurrency = settings.concurrency or DEFAULT_SLOTS
        self._api_key = secrets.token_urlsafe(24)
        self._model = Path()
        self._port = 0
        self._process: Process | None = None
        self._address: Address | None = None
        self._up = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._on_lost: Callable[[], None] = lambda: None
        self._on_found: Callable[[], None] = lambda: None

    @property
    def pid(self) -> int | None:
        """Process id of the server; None while there is none."""
        return self._process.pid if self._process is not None else None

    def watch(self, on_lost: Callable[[], None], on_found: Callable[[], None]) -> None:
        """After the start, `on_lost` is called when the server has ended, and `on_found` when another one is up."""
        self._on_lost, self._on_found = on_lost, on_found

    async def start(self) -> None:
        """Fetch the model, start the server and wait until it is healthy.

        Raises:
            FailedPrecondition: the model is not to be had, or llama.cpp does not load it.
        """
        source = self._settings.model or str(SMOLLM2)
        try:
            found = await asyncio.to_thread(ModelStore(self._settings.cache_dir).fetch, parse_source(source))
            self._model = _gguf(found)
        except ModelError as error:
            raise FailedPrecondition("model", source, str(error)) from error
        # A server takes its port seconds after it was chosen; this one is nobody else's meanwhile.
        self._port = self._port or free_block(1)
        process = await self._launch()
        if not self._up.is_set():
            raise FailedPrecondition("model", source, "llama.cpp ended while it loaded the model; see the log (DEBUG)")
        self._watch = asyncio.create_task(self._keep_alive(process))

    async def address(self) -> Address:
        """Where the server is.

        Raises:
            Unavailable: it is being restarted; at once, for another service may answer meanwhile.
        """
        if not self._up.is_set() or self._address is None:
            raise Unavailable("the llama.cpp server is being restarted; try again", retry_after_s=2.0)
        return self._address

    async def stop(self) -> None:
        """End the server; no orphan stays."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._process is not None:
            await _end(self._process)
            self._process = None

    async def _keep_alive(self, process: Process) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            started = time.monotonic()
            code = await process.wait()
            self._up.clear()
            self._on_lost()
            if time.monotonic() - started > STEADY_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            log.warning("llama.cpp ended, starting it again", extra={"exit_code": code, "backoff_s": backoff_s})
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
            try:
                process = await self._launch()
            except OSError as error:
                log.warning("llama.cpp could not be started", extra={"reason": str(error)})
            if self._up.is_set():
                self._on_found()

    async def _launch(self) -> Process:
        """Start the process and wait until it is healthy or has ended."""
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._command(), stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        self._process = process
        try:
            await hand_over_key(process, self._api_key)
            logged = asyncio.create_task(_log_output(process))
            logged.add_done_callback(_retrieve)
            url = f"http://127.0.0.1:{self._port}"
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                await _healthy_or_ended(process, url)
        except TimeoutError:
            log.warning("llama.cpp did not load in time", extra={"limit_s": LOAD_TIMEOUT_S})
            await _end(process)
        if process.returncode is None:
            self._address = Address(f"http://127.0.0.1:{self._port}/v1", self._api_key)
            self._up.set()
            load_s = round(time.monotonic() - started, 2)
            log.info("llama.cpp is up", extra={"pid": process.pid, "port": self._port, "load_s": load_s})
        return process

    def _command(self) -> list[str]:
        settings = self._settings
        options = {
            "--model": self._model,
            "--name": self._model.stem,
            "--port": self._port,
            "--threads": settings.threads,
            "--prompt-threads": settings.prompt_threads or settings.threads,
            "--slots": self.concurrency,
            "--context": settings.context_tokens,
            "--flash-attention": settings.flash_attention,
            **({} if settings.mmproj is None else {"--mmproj": settings.mmproj}),
        }
        pairs = [str(part) for pair in options.items() for part in pair]
        gpu = [] if self.device == "cpu" else ["--gpu"]
        return [sys.executable, "-m", "voxmesh_llm_proxy.llama_server", *pairs, *gpu]


async def hand_over_key(process: Process, key: str) -> None:
    """Write the key to the standard input of a process; one that is gone already tells so by its exit code."""
    if process.stdin is None:
        raise RuntimeError("the process has no standard input")
    # uvloop calls a pipe whose reader is gone a RuntimeError.
    with suppress(ConnectionError, RuntimeError):
        process.stdin.write(f"{key}\n".encode())
        await process.stdin.drain()


def _gguf(path: Path) -> Path:
    """The model's file, or the first of a folder; llama.cpp finds the further parts of a split model itself."""
    files = [path] if path.is_file() else sorted(path.rglob("*.gguf"))
    models = [file for file in files if "mmproj" not in file.name]
    if not models:
        raise ModelError(f"{path} holds no .gguf file; llama.cpp loads no other")
    return models[0]


async def _healthy_or_ended(process: Process, url: str) -> None:
    while process.returncode is None:
        if await is_healthy(url):
            return
        await asyncio.sleep(0.05)


async def _log_output(process: Process) -> None:
    if process.stdout is None:
        raise RuntimeError("the process has no output to read")
    while line := await process.stdout.readline():
        log.debug("llama.cpp", extra={"line": line.decode(errors="replace").rstrip()})


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("llama.cpp's output is no longer read", exc_info=error)


async def _end(process: Process) -> None:
    if process.returncode is None:
        # Nothing of it outlives a stop, so nothing is lost by the hard way.
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()

"""Steps the streams' iterators on a model's thread: in turn, or together where the engine can."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from voxmesh_runtime.batcher import Batcher, SomeFailed
from voxmesh_runtime.thread import Completed, ModelThread

T = TypeVar("T")

Step: TypeAlias = Callable[[Sequence[Iterator[Any]]], Sequence[Any]]
"""The next output of each of several iterators, None where one has ended; may raise `SomeFailed`."""


class Run(Generic[T]):
    """An iterator that an engine makes when it is first stepped, and so on the model's thread.

    Args:
        begin: makes the iterator. It may have `interrupt`, which is called on another thread when
            nobody waits for the step in progress any more: the step may then end early, with any error.
    """

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self._begin = begin
        self._iterator: Iterator[T] | None = None

    def begun(self) -> Iterator[T]:
        """The iterator."""
        if self._iterator is None:
            self._iterator = self._begin()
        return self._iterator

    def interrupt(self) -> None:
        """Let the step in progress end early."""
        interrupt = getattr(self._iterator, "interrupt", None)
        if interrupt is not None:
            interrupt()

    def close(self) -> None:
        """Close the iterator if it is a generator that has begun."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


class Interruptible(Iterator[T]):
    """A generator with a way to end the step that it is in.

    Args:
        generator: makes the outputs.
        interrupt: called on another thread, at any time, once or more often.
    """

    def __init__(self, generator: Generator[T], interrupt: Callable[[], object]) -> None:
        self._generator = generator
        self.interrupt = interrupt

    def __next__(self) -> T:
        return next(self._generator)

    def close(self) -> None:
        """Close the generator."""
        self._generator.close()


class Stepper:
    """The iterators that are stepped on one thread.

    Args:
        thread: of the model.
        step: of an engine that makes the next outputs of several streams at once.
        max_batch_size: how many those may be.
    """

    def __init__(self, thread: ModelThread, step: Step | None = None, max_batch_size: int = 1) -> None:
        self.thread = thread
        self._step = step
        # An iterator's None is its end: no engine gives it as an output.
        self._batcher = Batcher[Run[Any], Any](thread, self._outputs, max_batch_size=max_batch_size)

    async def iterate(self, begin: Callable[[], Iterator[T]]) -> AsyncGenerator[Completed[T]]:
        """Step an iterator to its end; other streams' work may run between its items.

        One that is left before is interrupted in the step that it is in, and closed on the thread.
        """
        run = Run(begin)
        try:
            while (completed := await self._batcher.run(run)).result is not None:
                yield completed
        finally:
            run.interrupt()
            self.thread.post(run.close)

    def _outputs(self, runs: Sequence[Run[Any]]) -> Sequence[Any]:
        if self._step is None:
            (run,) = runs
            return [next(run.begun(), None)]
        iterators = [_begun(run) for run in runs]
        ready = [iterator for iterator in iterators if not isinstance(iterator, Exception)]
        try:
            results = self._step(ready) if ready else ()
        except SomeFailed as failed:
            results = failed.results
        outputs = iter(results)
        return [iterator if isinstance(iterator, Exception) else next(outputs) for iterator in iterators]


def _begun(run: Run[Any]) -> Iterator[Any] | Exception:
    try:
        return run.begun()
    except Exception as error:  # noqa: BLE001 # the stream that it belongs to gets it; the others go on
        return error

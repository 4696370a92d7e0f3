"""Runs analyses of all streams on the one model: a few at a time, so that decoded pictures stay few."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from voxmesh_runtime.clock import WorkClock
from voxmesh_vlm.engine import Analysis, AnalysisRequest, Host, Output
from voxmesh_vlm.options import AnalysisOptions
from voxmesh_vlm.pictures import decode


class Looking:
    """The model of a service.

    Args:
        host: of the model, which is in memory while it looks.
        max_analyses: that hold decoded pictures at once; the others wait in order of arrival.
        max_pixels: of one analysis.
    """

    def __init__(self, host: Host, max_analyses: int, max_pixels: int) -> None:
        self.host = host
        self._free = asyncio.Semaphore(max_analyses)
        self._max_pixels = max_pixels

    async def outputs(
        self, files: Sequence[bytes], options: AnalysisOptions, clock: WorkClock
    ) -> AsyncGenerator[Output]:
        """The outputs of one analysis; when the caller stops, so does the engine after its step.

        Raises:
            InvalidArgument: a file is no picture.
        """
        began = time.monotonic()
        async with self._free:
            clock.queued_s += time.monotonic() - began
            async with (
                self.host.using() as stepper,
                aclosing(stepper.iterate(lambda: self._analysis(files, options))) as steps,
            ):
                async for step in steps:
                    clock.worked(step.started_ns, step.compute_s, step.queued_s, step.batch_size)
                    yield step.result

    def _analysis(self, files: Sequence[bytes], options: AnalysisOptions) -> Analysis:
        request = AnalysisRequest(
            decode(files, self._max_pixels),
            options.task,
            options.prompt,
            options.response_schema,
            options.max_output_tokens,
        )
        return self.host.engine.analyze(request)

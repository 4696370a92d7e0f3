"""Runs analyses of all streams on the one model: a few at a time, so that decoded pictures stay few."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.engine import Analysis, AnalysisRequest, Host, Output, Picture
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
        # One, so that cancelled analyses cannot heap up decoded pictures; not the model's, which has other work.
        self._decoder = ThreadPoolExecutor(1, "decoder")

    async def outputs(
        self, files: Sequence[bytes], options: AnalysisOptions, clock: WorkClock
    ) -> AsyncGenerator[Output]:
        """The outputs of one analysis; when the caller stops, so does the engine after its step.

        Raises:
            InvalidArgument: a file is no picture, or no frame of the same video.
        """
        began = time.monotonic()
        async with self._free:
            clock.queued_s += time.monotonic() - began
            pictures = await self._decoded(files, clock)
            if options.frame_interval_s is not None:
                check_frames(pictures)
            async with (
                self.host.using() as stepper,
                aclosing(stepper.iterate(lambda: self._analysis(pictures, options))) as steps,
            ):
                async for step in steps:
                    clock.worked(step.started_ns, step.compute_s, step.queued_s, step.batch_size)
                    yield step.result

    async def _decoded(self, files: Sequence[bytes], clock: WorkClock) -> tuple[Picture, ...]:
        started_ns, began = time.time_ns(), time.monotonic()
        loop = asyncio.get_running_loop()
        pictures = await loop.run_in_executor(self._decoder, decode, files, self._max_pixels)
        clock.worked(started_ns, time.monotonic() - began, 0.0)
        return pictures

    def _analysis(self, pictures: tuple[Picture, ...], options: AnalysisOptions) -> Analysis:
        request = AnalysisRequest(
            pictures,
            options.task,
            options.prompt,
            options.response_schema,
            options.max_output_tokens,
            options.frame_interval_s,
            options.language_codes,
        )
        return self.host.engine.analyze(request)


def check_frames(pictures: Sequence[Picture]) -> None:
    """Refuse pictures that are no frames of one video.

    Raises:
        InvalidArgument: `image_chunk[i]` is of another size than the first.
    """
    for index, picture in enumerate(pictures):
        if picture.shape != pictures[0].shape:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (picture.shape, pictures[0].shape)]
            problem = f"has {sizes[0]} pixels, the first frame {sizes[1]}; frames of one video have one size"
            raise InvalidArgument(f"image_chunk[{index}]", problem)

"""What a model of the published size costs here: random weights in a temporary folder, 1.4 GB of it.

python bench/full_size.py --threads 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.memory import resident_bytes
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import PUBLISHED, write_random_checkpoint

T = TypeVar("T")

CLAUSE = "ಬೆಂಗಳೂರು ಒಂದು ದೊಡ್ಡ ನಗರ."


def main() -> None:
    """Write, load, speak a clause with each type of numbers, and print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_random_checkpoint(Path(folder), widths=PUBLISHED)
        context = EngineContext(model=folder, device=arguments.device, threads=arguments.threads)
        for dtype in ("bfloat16", "float32"):
            _measure(IndicF5Engine(context, IndicF5Settings.model_validate({"dtype": dtype})), dtype)


def _measure(engine: IndicF5Engine, dtype: str) -> None:
    load_s, load_cpu_s, _ = _timed(engine.load)
    engine.warm_up()
    session = engine.open(SynthesisOptions("kn", "kn"))
    spoken_s, spoken_cpu_s, pieces = _timed(lambda: list(session.synthesize(CLAUSE)))
    audio_s = sum(map(len, pieces)) / engine.info.sample_rate_hertz
    print(
        f"{dtype} on {engine.info.facts.device}: load {load_s:.1f} s ({load_cpu_s:.1f} CPU-s), "
        f"{audio_s:.1f} s of speech in {spoken_s:.1f} s ({spoken_cpu_s:.1f} CPU-s), "
        f"resident {resident_bytes() / 1e9:.1f} GB"
    )
    engine.close()


def _timed(call: Callable[[], T]) -> tuple[float, float, T]:
    """Seconds by the clock and of the processor, and what the call gave; neighbours change the first alone."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - began_s, time.process_time() - began_cpu_s, result


if __name__ == "__main__":
    main()

"""Make `voices.npz` from the voice files that kokoro-js ships: its English ones, in half precision.

npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz
python services/tts/engines/kokoro/bench/voices.py package/voices voices.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Read a folder's `.bin` files, 510 rows of 256 float32 each, and write one file."""
    folder, target = map(Path, sys.argv[1:3])
    voices = {
        path.stem: np.fromfile(path, np.float32).reshape(510, 256).astype(np.float16)
        for path in sorted(folder.glob("[ab][fm]_*.bin"))
    }
    np.savez_compressed(target, allow_pickle=False, **voices)
    print(f"{len(voices)} voices, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()

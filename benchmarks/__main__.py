"""Entry point of `python -m benchmarks`."""

import os

# Child processes are other programs, which gRPC need not follow; it reads this when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from benchmarks.cli import main
from voxmesh_runtime.proxies import spare_loopback

if __name__ == "__main__":
    spare_loopback(os.environ)
    main()

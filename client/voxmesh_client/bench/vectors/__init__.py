"""`voxmesh bench embed`: embeddings compared on throughput, latency, and whether texts find their answers."""

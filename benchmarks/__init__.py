"""Measurements of the mesh as ratios within one run: `python -m benchmarks --help`."""

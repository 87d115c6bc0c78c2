"""Benchmarks: ratios within one run, never timed tests. `python -m benchmarks.NAME [--quick]`."""

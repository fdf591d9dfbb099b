"""Benchmarks: `python -m benchmarks [NAME …] [--quick]`, or one of them by `python -m benchmarks.NAME`."""

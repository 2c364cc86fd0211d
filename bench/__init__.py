"""Benchmarks: the gateway beside a bare byte pipe in the same run. `make bench` prints ratios, not
verdicts."""

"""Benchmarks of performance and cost; each is a module that `make bench-…` runs."""

"""Benchmarks of this project's fast parts against the alternatives a user has: ``python -m benchmarks``."""

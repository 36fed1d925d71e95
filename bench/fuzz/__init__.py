"""Hostile requests to a running collector: `python -m bench.fuzz_routes`."""

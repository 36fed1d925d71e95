"""The collector: takes measurements from probes, judges them, and serves the results."""

"""OONI's measurement format: records out and in."""

"""Collect measurements from probes and say what they amount to."""

"""Sockets for measurements: every operation returns what was received and how long it took."""

"""Heartbeats, and the history of intervals in which they could not be delivered."""

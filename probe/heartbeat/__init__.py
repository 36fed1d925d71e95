"""Saying "I am here", and keeping when nobody could hear it."""

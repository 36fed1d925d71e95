"""Formats and protocols of other projects: pure mapping, apart from an ordinary run."""

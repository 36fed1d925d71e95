"""Metrics: from rows of the store to Prometheus's text format."""

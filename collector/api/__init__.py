"""The HTTP API for probes, controls and researchers: one module per path, one guard for all."""

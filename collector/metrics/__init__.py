"""From rows of the store to what Prometheus scrapes."""

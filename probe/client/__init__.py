"""The collector's client: keys, spool, upload. No other code sends results."""

"""RIPE Atlas: results of `sslcert` and `dns` measurements as records of ours. Pure."""

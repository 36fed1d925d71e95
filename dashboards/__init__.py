"""Grafana dashboards and Prometheus rules over the metrics that the collector serves."""

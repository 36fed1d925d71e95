"""The operator's commands besides `serve` and `enroll`."""

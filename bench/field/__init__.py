"""A synthetic internet for benchmarks: thousands of sites behind one access line and one censor.

The laboratory of the tests has a server for each way to misbehave and a thread for each connection.
Here everything behaves, quickly: what is measured is the probe.
"""

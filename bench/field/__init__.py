"""A synthetic internet for benchmarks: thousands of sites behind one access line and one censor.

The lab of the tests has misbehaving servers with a thread for each connection. Here all servers are
correct and fast, so that the probe is what is measured.
"""

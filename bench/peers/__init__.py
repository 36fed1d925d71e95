"""Compare the probe with OONI's `miniooni` and its test helper: same sites, line, censor and core.

OONI's code is not here: `build` fetches the module and builds both programs outside this folder.
Not part of the tests.
"""

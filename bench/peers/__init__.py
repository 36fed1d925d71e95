"""The probe beside OONI's `miniooni` with its own test helper: same sites, line, censor and core.

Nothing of theirs is here: `build` fetches the module and makes the two programs outside of this
folder. Not part of the tests.
"""

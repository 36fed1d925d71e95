"""How innocent explanations are tested on a record; `probe/ladder.py` applies the checks.

Each check returns the reason why its explanation is still open, or None where it is excluded. The
first line of its docstring says what excludes it.
"""

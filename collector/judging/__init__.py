"""Judging: acknowledged records become rows, in processes of their own.

`work` judges what waits; `worker` is a process that does so, `workers` starts and replaces such
processes; `in_process` does the same within the collector; `watch` follows how much waits.
"""

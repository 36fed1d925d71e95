"""Presentation of results: table, HTML report, explanations. Nothing here decides a verdict."""

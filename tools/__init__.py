"""Generators of the reference pages and the record schema (`make generated`); not in the wheel."""

"""A report of a country and a time: one folder with a page, tables, charts and frozen data."""

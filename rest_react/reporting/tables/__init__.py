"""The tables of a report, as rows of text: the page, report.md and the terminal show the same ones.

Not here: the numbers (reporting.results.rows).
"""

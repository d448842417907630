"""results.json: its format, and its rows computed from the graded answers of a run.

Not here: the tables, sentences and pages that show the numbers (reporting), what each means (docs/metrics.md).
"""

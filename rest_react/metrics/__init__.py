"""Statistics: one file each, pure functions of numbers; and how numbers are written (number_formats).

Not here: which numbers of a run they are computed from (reporting.results.rows); what each means (docs/metrics.md).
"""

"""What a run shows of its results: the rows of results.json, tables, pages, cards, and experiment trackers.

rows computes the numbers; tables, templates and tracking show them.
Not here: which files are written when (report), and the statistics (metrics).
"""

"""Experiment trackers: what is logged of each iteration (track_iteration), and one module for each tracker.

Not here: the report in the run's folder (report).
"""

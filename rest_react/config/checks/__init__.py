"""Combinations of settings that cannot work, and what the settings need that this machine lacks.

`combinations` lists all problems before a run starts; the other modules have the problems of one part each.
Not here: single values that are wrong (config.load), and the settings of one client (`problems` beside the client).
"""

"""Reads what any model wrote: thoughts before the text, and almost-Python calls. Nothing is evaluated.

Not here: what a task makes of it (tasks.search_qa.reading), and what a judge wrote (judges).
"""

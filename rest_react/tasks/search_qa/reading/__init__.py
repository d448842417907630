"""Reads what a model wrote into an action: the call, its fields, a state repeated before it.

The entry is parsing.
Not here: what an action means (tasks.search_qa.actions).
"""

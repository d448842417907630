"""Reads what the models write: the code of functions and calls (`calls`), the name of a tool (`choice`), whether the
values of a call come from its question (`verifier`).

Nothing is run here. Not here: running code (tasks.tool_maker.sandbox), and what is asked (tasks.tool_maker.states).
"""

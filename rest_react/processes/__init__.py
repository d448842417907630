"""The processes of a command: its own start and end, and the child processes that end with it.

Not here: calls that run at once inside one process (concurrency).
"""

"""The settings of a run: read from configs/ and the command line, checked, and documented.

settings lists them, compose and load read them, checks refuses combinations that cannot work.
Not here: settings of one client, which stand beside it (llm, search, training, tasks), and their values (configs/).
"""

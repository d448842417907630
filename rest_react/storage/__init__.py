"""The run folder on disk: records as JSON lines, summaries of complete stages, the locked settings.

Not here: what the records are (records); every file is described in docs/run_folder.md.
"""

"""Completion: one call for each item; a text goes in, a label comes out. The smallest task, to start another one from.

    Completion(prompts, labels=("billing", "delivery"))      # task.Completion implements tasks.protocol.Task

Not here: tasks of several steps (search_qa).
"""

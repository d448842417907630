"""Completion: one call per item, from a text to a label. The smallest task, as a template for others.

    Completion(prompts, labels=("billing", "delivery"))      # task.Completion implements tasks.protocol.Task

Not here: tasks with several steps (tasks.search_qa).
"""

"""The tasks, one package each: what a model is asked to do, and the rules that hold for this task alone.

    from rest_react.tasks.search_qa.task import SearchQA      # implements tasks.protocol.Task

Not here: stages and selection, which work on the trajectories of any task.
"""

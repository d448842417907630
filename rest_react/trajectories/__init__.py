"""A stored trajectory in its other forms: parsed by its task, as views of its steps, as a chat with tools.

Not here: the stored form (records.Trajectory), and what a task makes of each form (tasks).
"""

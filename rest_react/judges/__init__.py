"""Graders, which say whether an answer is right, and the reading of what a judge wrote.

grader grades by rules (answer_matching.rule_grader) or asks a model; the modules `*_reply` read one form of reply each.
Not here: which samples train (selection), and the prompts of judges, which belong to a task (tasks.*.prompts).
"""

"""Whether an answer names a gold answer, by rules alone: rule_grader decides, each other module has one kind of rule.

Not here: grading by a model (judges.grader), and EM and F1 (metrics.text_match).
"""

"""The judges that a run trains in iteration 0 (`reward_model=trained`), without labels of the questions it grows on.

step_judge says which output of a step is better, outcome_judge whether the answer of a trajectory is right; held_out
are the questions on which they are measured.
Not here: asking them (selection.trained_judge).
"""

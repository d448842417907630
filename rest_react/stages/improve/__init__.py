"""Improve: selects the training examples of an iteration from the trajectories of its Grow.

The stage is improve; judge_trajectories asks for verdicts before it, trainable_steps says which steps may train, and
preferences makes the pairs of DPO after it.
Not here: the selectors and filters (selection).
"""

"""Signals on whole trajectories that need no label and no model: one file each, pure functions of `Evidence`.

    agreement(found)      # of all trajectories of a question: a score each, None where there is nothing to compare

Not here: which scores keep a trajectory (selection.trajectory_filters).
"""

"""Signals on whole trajectories that need no label: one file each, pure functions of `Evidence`, and in
`reader_agreement` of the answer that a reward model gave.

    agreement(found)      # of all trajectories of a question: a score each, None where there is nothing to compare

Not here: which scores keep a trajectory (selection.trajectory_filters).
"""

"""Which samples of a trajectory become training targets, without gold answers (paper section 3.5).

selectors choose one sample of each step, filters and trajectory_filters drop steps and trajectories; reward_model,
option_ranking, judge_trajectory and trained_judge ask a model.
Not here: the stage that goes through the trajectories (stages.improve).
"""

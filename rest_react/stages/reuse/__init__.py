"""Reuse: takes stages of another run (`grow.reuse`) where they would be the same in this one.

reuse decides which, copy_stages copies them, lost_records tells what the other run lost of them.
Not here: the stages themselves (stages.grow, stages.improve, ...).
"""

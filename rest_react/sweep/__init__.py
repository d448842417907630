"""A sweep: many runs with one command, on this machine or on SLURM, and a report that compares them.

    $ python -m rest_react.run -m 'run=mine_${seed}' seed=0,1,2

Not here: one run (loop), and the settings of its jobs (config.compose).
"""

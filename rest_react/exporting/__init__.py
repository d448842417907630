"""Exports: trajectories and training rows of a run in the formats of other tools, and their way to the Hub."""

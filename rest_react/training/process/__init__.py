"""The process of a local training: its job, its start, its checkpoints and its loss curve.

Not here: what runs in it (training.worker).
"""

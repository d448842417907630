"""The rows of a training: which are held out, their order, the tree of those that share a prefix, their tokens.

Not here: which tokens of a row count (weights.loss_mask).
"""

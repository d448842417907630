"""What a run will take: calls, tokens, minutes and dollars of each stage, before it starts.

Not here: limits on spending (remote.budget).
"""

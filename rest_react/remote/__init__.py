"""Calls to remote services, the same for models, search and fine-tuning: retries, limits, budget, cache, errors.

Not here: the clients themselves (llm, search, training.hosted).
"""

"""What the model in this process (llm.transformers_engine) is made of: settings, draws, delivery, attention on a CPU.

Not here: weights and tokens (weights).
"""

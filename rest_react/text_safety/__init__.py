"""Untrusted text made harmless (escaping), and secrets taken out of text (redaction).

Not here: text that must be understood, such as a model's output (model_output).
"""

"""A model's weights and its tokens, used in the same way for sampling and for fine-tuning.

    weights = resolve_weights("smollm2-135m-instruct")                      a folder, or a Hub id
    tokens = encode_prompt(tokenizer, Prompt(prefix="", state=state), "chat")
    rows = make_rows(examples, tokenizer, "chat", max_length=1024)          tokens, and the loss mask

Not here: loading a model, generating (llm), training (training).
"""

from rest_react.weights.loss_mask import make_rows
from rest_react.weights.resolve import resolve_weights
from rest_react.weights.tokens import encode_completion, encode_prompt

__all__ = ["encode_completion", "encode_prompt", "make_rows", "resolve_weights"]

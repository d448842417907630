"""Whether every layer of a model attends to all earlier tokens.

    has_full_attention(AutoConfig.from_pretrained("google/gemma-3-4b-it"))      # False: most layers see a window

Windows and chunks show on long texts alone, so a test on short ones cannot tell.
Not here: recurrent layers, which a test on short texts tells (training.worker.completion_loss).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_LIMITS = ("sliding_window", "attention_chunk_size", "window_size", "local_window_size")


def has_full_attention(config: "PreTrainedConfig") -> bool:
    """Whether no layer is limited to a window or a chunk. Of a model that also reads images or sound, the
    configuration of its text part counts."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    return kinds <= {"full_attention"} and not any(getattr(text, name, None) for name in _LIMITS)

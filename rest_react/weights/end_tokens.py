"""The tokens that end a model's turn: all that its tokenizer, its generation config and its chat template name.

    >>> end_tokens(tokenizer, model.generation_config.eos_token_id)     # of a Llama 3 whose tokenizer names another end
    [128001, 128009]

Generation stops at the token used in training only if that token is listed, and the three may disagree: a base's
generation config may name one end while fine-tuning (weights.encode_completion) and the template write another.
Not here: which of them a training target ends with (tokens.encode_completion).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAID = "what was said"


def end_tokens(tokenizer: "PreTrainedTokenizerBase", configured: int | Sequence[int] | None) -> list[int]:
    """The ids, the tokenizer's own first. `configured` is the `eos_token_id` of a generation config."""
    named = [] if configured is None else [configured] if isinstance(configured, int) else configured
    own = tokenizer.eos_token_id
    return list(dict.fromkeys([*([] if own is None else [int(own)]), *map(int, named), *_of_template(tokenizer)]))


def _of_template(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The control token that the chat template writes right after what the assistant says, if any."""
    from jinja2.exceptions import TemplateError

    if tokenizer.chat_template is None:
        return []
    turns = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": _SAID}]
    try:
        written = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except (TemplateError, TypeError):  # a template that takes other turns than these
        return []
    _, said, after = written.rpartition(_SAID)
    following = tokenizer.encode(after.lstrip(), add_special_tokens=False) if said else []
    control = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [following[0]] if following and following[0] in control else []

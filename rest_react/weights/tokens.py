"""Text becomes tokens, in the same way for the engine that samples and for fine-tuning.

    encode_prompt(tokenizer, Prompt(prefix="", state="... # step: decision\\n"), "completion")     # [23, 881, ...]
    encode_completion(tokenizer, "ACTION_SELECTED = ...")                                         # [..., <eos>]

Neither ever forms a control token from text: `<|im_end|>` inside a snippet is six ordinary tokens.
Not here: which tokens of a training row count (loss_mask).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rest_react.errors import UsageError
from rest_react.records import Prompt, chat_turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_prompt(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Prompt,
    mode: Literal["chat", "completion"],
    template_kwargs: Mapping[str, object] | None = None,
) -> list[int]:
    """The tokens the model goes on from: the prompt as one text, or as the turns of a chat."""
    if mode == "completion":
        return [*_opening(tokenizer), *_encode_text(tokenizer, prompt.text)]
    if tokenizer.chat_template is None:
        raise UsageError(f"{tokenizer.name_or_path} has no chat template; set the model's mode to `completion`")
    arguments: dict[str, Any] = {**(template_kwargs or {}), "add_generation_prompt": True}
    encoded: Any = tokenizer.apply_chat_template(_turns(tokenizer, prompt), sanitize_control_tokens=True, **arguments)
    return list(encoded["input_ids"])


def encode_completion(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The tokens a model should write: the text, then the token that ends a turn."""
    if tokenizer.eos_token_id is None:
        raise UsageError(f"{tokenizer.name_or_path} has no end-of-sequence token, so it cannot learn where to stop")
    return [*_encode_text(tokenizer, text), int(tokenizer.eos_token_id)]


def _encode_text(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def _opening(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The begin-of-sequence token, for tokenizers that add one."""
    first = tokenizer.encode("", add_special_tokens=True)[:1]
    return first if first and first[0] == tokenizer.bos_token_id else []


def _turns(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> list[dict[str, str]]:
    """What a server is sent (llm.openai_compatible): a system turn where there is a prefix, and the others. A template
    that invents a system turn where none is given (SmolLM2, Qwen2.5) does so here as there, in training as in use.
    Templates without a system turn (Gemma) get the prefix at the head of the first user turn."""
    return chat_turns(prompt, system=not prompt.prefix or _has_system_turn(tokenizer))


def _has_system_turn(tokenizer: "PreTrainedTokenizerBase") -> bool:
    from jinja2.exceptions import TemplateError

    turns = [{"role": "system", "content": "SYSTEM"}, {"role": "user", "content": "USER"}]
    try:
        return "SYSTEM" in str(tokenizer.apply_chat_template(turns, tokenize=False))
    except TemplateError:
        return False

"""Turns text into tokens, in the same way for sampling and for fine-tuning.

    encode_prompt(tokenizer, Prompt(prefix="", state="... # step: decision\\n"), "completion")     # [23, 881, ...]
    encode_completion(tokenizer, "ACTION_SELECTED = ...")                                         # [..., <eos>]

Neither makes a control token from text: `<|im_end|>` inside a snippet becomes six ordinary tokens.
Not here: the loss mask (loss_mask).
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
    """The tokens of a prompt, as one text or as the turns of a chat up to the assistant's turn. Raises UsageError if
    the mode is chat and the tokenizer has no chat template."""
    if mode == "completion":
        return [*_opening(tokenizer), *_encode_text(tokenizer, prompt.text)]
    if tokenizer.chat_template is None:
        raise UsageError(f"{tokenizer.name_or_path} has no chat template; set the model's mode to `completion`")
    arguments: dict[str, Any] = {**(template_kwargs or {}), "add_generation_prompt": True}
    encoded: Any = tokenizer.apply_chat_template(_turns(tokenizer, prompt), sanitize_control_tokens=True, **arguments)
    return list(encoded["input_ids"])


def encode_completion(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The tokens of a completion, with the end-of-sequence token. Raises UsageError if the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise UsageError(
            f"{tokenizer.name_or_path} has no end-of-sequence token, so it cannot learn where to stop; add one to its "
            "tokenizer, or choose another model"
        )
    return [*_encode_text(tokenizer, text), int(tokenizer.eos_token_id)]


def _encode_text(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def _opening(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The begin-of-sequence token, for tokenizers that add one."""
    first = tokenizer.encode("", add_special_tokens=True)[:1]
    return first if first and first[0] == tokenizer.bos_token_id else []


def _turns(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> list[dict[str, str]]:
    """The same turns as a server gets (llm.openai_api.openai_compatible): a system turn if there is a prefix, then the
    others. A template that adds its own system turn if there is none (SmolLM2, Qwen2.5) does so in training and in
    use. For templates without a system turn (Gemma), the prefix begins the first user turn."""
    return chat_turns(prompt, system=not prompt.prefix or _has_system_turn(tokenizer))


def _has_system_turn(tokenizer: "PreTrainedTokenizerBase") -> bool:
    from jinja2.exceptions import TemplateError

    turns = [{"role": "system", "content": "SYSTEM"}, {"role": "user", "content": "USER"}]
    try:
        return "SYSTEM" in str(tokenizer.apply_chat_template(turns, tokenize=False))
    except TemplateError:
        return False

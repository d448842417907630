"""The tiny model: two random layers and a tokenizer of the package's own text, for tests and smoke runs.

    tiny_model()          # ~/.cache/rest_react/tiny-random-0f3c..., built in a second at the first call

Its answers are random. Not here: a trained model (embedded).
"""

import hashlib
from pathlib import Path
from typing import Any

from rest_react.storage.files import clear_drafts
from rest_react.weights.cache_folder import cache_folder, save_once

TINY = "tiny-random"
_VOCABULARY = 1024
_CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are tiny.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_model() -> Path:
    """The model's folder. The weights are seeded, so they are equal on every machine. The folder's name has a digest of
    the tokenizer's training text: the prompts, and the code that renders states and actions."""
    task = Path(__file__).parents[1] / "tasks" / "search_qa"
    files = [task / "actions.py", task / "render_state.py", *sorted((task / "prompts").glob("*.txt"))]
    texts = [path.read_text(encoding="utf-8") for path in files]
    digest = hashlib.sha256("\x1f".join([_CHATML, *texts]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"{TINY}-{digest}"
    clear_drafts(folder.parent, f".{folder.name}.")
    return folder if folder.is_dir() else save_once(folder, lambda target: _build(texts, target))


def _build(texts: list[str], target: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    wrapper: Any = PreTrainedTokenizerFast  # its constructor carries no types
    tokenizer = wrapper(tokenizer_object=bpe, eos_token=special[2], pad_token=special[0])
    tokenizer.chat_template = _CHATML
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=16_384,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)

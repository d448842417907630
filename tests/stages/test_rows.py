"""Rows: what counts, what is refused, and in which order it is trained on."""

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rest_react.errors import UsageError
from rest_react.records import Example, Prompt
from rest_react.weights import (
    LengthStats,
    Row,
    Tree,
    count_steps,
    encode_prompt,
    example_length_stats,
    make_rows,
    merge_rows,
    resolve_weights,
    training_order,
)

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
    assert " and 2 more; the cut would remove their targets. Set finetune.max_length=" in str(error.value)


def test_no_examples_is_an_error(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UsageError, match="no example to train on"):
        make_rows([], tokenizer, "completion", 512)


def test_lengths_are_counted_over_all_rows() -> None:
    rows = [Row("a", "t", (1, 2, 3), (-100, 2, 3)), Row("b", "t", (4, 5, 6, 7), (-100, -100, -100, 7))]
    assert example_length_stats(rows) == LengthStats(rows=2, tokens=7, target_tokens=3, longest=4)
    assert example_length_stats([]) == LengthStats(rows=0, tokens=0, target_tokens=0, longest=0)


def test_steps_are_whole_batches_and_at_most_max_steps() -> None:
    assert count_steps(rows=97, batch_size=8, epochs=4, max_steps=None) == 49
    assert count_steps(rows=97, batch_size=8, epochs=0.5, max_steps=None) == 7
    assert count_steps(rows=97, batch_size=8, epochs=4, max_steps=10) == 10


@given(
    walks=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    batch_size=st.integers(1, 7),
    steps=st.integers(1, 20),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_epoch_holds_every_row_once_and_steps_that_follow_each_other_together(
    walks: list[int], batch_size: int, steps: int, seed: int
) -> None:
    rows = [Row(f"{walk}.{step}", str(walk), (0,), (0,)) for walk, length in enumerate(walks) for step in range(length)]
    order = training_order(rows, batch_size, steps, seed)
    assert len(order) == steps * batch_size
    seen = Counter(row.id for row in order)
    assert max(seen.values()) - min(seen[row.id] for row in rows) <= 1
    for first in range(0, min(len(rows), len(order)) // 2 * 2, 2):
        one, other = order[first : first + 2]
        (walk, step), (other_walk, other_step) = (map(int, row.id.split(".")) for row in (one, other))
        if walk == other_walk:
            assert step % 2 == 0 and other_step == step + 1
        else:  # what is left over of two walks
            assert (step + 1, other_step + 1) == (walks[walk], walks[other_walk]) and step % 2 == other_step % 2 == 0
    assert order == training_order(rows, batch_size, steps, seed)


def test_another_seed_is_another_order() -> None:
    rows = [Row(str(i), str(i), (0,), (0,)) for i in range(20)]
    assert training_order(rows, 4, 5, seed=1) != training_order(rows, 4, 5, seed=2)


def test_what_rows_begin_with_alike_stands_once_in_their_tree() -> None:
    state, longer = (1, 2, 3), (1, 2, 4, 5)
    rows = [((*state, 8, 9), (-100,) * 3 + (8, 9)), ((*longer, 7), (-100,) * 4 + (7,))]
    assert merge_rows(rows) == Tree(
        input_ids=[1, 2, 3, 8, 9, 4, 5, 7],
        positions=[0, 1, 2, 3, 4, 2, 3, 4],
        spans=[(0, 5, []), (5, 8, [0, 1])],
        targets=[(2, 8), (3, 9), (6, 7)],
    )


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=8)


@given(st.lists(st.tuples(TOKENS, st.lists(st.booleans(), min_size=8, max_size=8)), min_size=1, max_size=6))
def test_every_target_sees_its_own_row_and_nothing_else(given_rows: list[tuple[list[int], list[bool]]]) -> None:
    rows = [
        (ids, [token if counts else -100 for token, counts in zip(ids, flags, strict=False)])
        for ids, flags in given_rows
    ]
    tree = merge_rows(rows)
    before = {
        start + i: [*above, *range(start, start + i + 1)]
        for start, end, above in tree.spans
        for i in range(end - start)
    }
    expected = [(ids[:i], labels[i]) for ids, labels in rows for i in range(1, len(ids)) if labels[i] != -100]
    assert [([tree.input_ids[j] for j in before[at]], token) for at, token in tree.targets] == expected
    assert all(tree.positions[at] == len(path) - 1 for at, path in before.items())
    assert len(tree.input_ids) <= sum(len(ids) for ids, _ in rows)

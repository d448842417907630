"""A packed batch gives what each sequence gives alone, whatever else is in it and whoever shares its beginning."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from rest_react.llm.local_engine.cpu_attention import attend  # noqa: E402

HEADS, GROUPS, SIZE = 6, 2, 8


@dataclass(eq=False)
class Slots:
    """A key-value cache that was filled before: keys and values [slots, groups, size], read by index."""

    keys: Any
    values: Any
    reads: list[int] = field(default_factory=list)

    def update(self, key_states: Any, value_states: Any, layer_idx: int, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Keys and values [1, groups, read, size]; an empty index gives back what came."""
        index = kwargs["read_index"][0]
        self.reads.append(index.numel())
        if index.numel() == 0:
            return key_states, value_states
        return self.keys[index].transpose(0, 1)[None], self.values[index].transpose(0, 1)[None]


@st.composite
def batches(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Sequences as (new tokens, their slots, which lie anywhere): some begin with all of an earlier one or with a part
    of it, as samples of one prompt and steps of one trajectory do; some are prompts that are being read."""
    anywhere = draw(st.permutations(range(300)))
    found: list[tuple[int, list[int]]] = []
    for new, shared, own in draw(
        st.lists(st.tuples(st.sampled_from([1, 1, 1, 5]), st.integers(0, 40), st.integers(0, 15)), max_size=12)
    ):
        beginning = draw(st.sampled_from([slots for _, slots in found] or [[]]))[:shared]
        taken = sum(len(slots) for _, slots in found)
        slots = beginning + [anywhere[(taken + i) % 300] for i in range(max(own, new))]
        found.append((new, slots))
    return draw(st.permutations(found))


def alone(query: Any, slots: list[int], cache: Slots) -> Any:
    """Attention of one sequence's last tokens [heads, new, size] to all of its own: [new, heads, size]."""
    keys, values = (x[slots].repeat_interleave(HEADS // GROUPS, 1).transpose(0, 1) for x in (cache.keys, cache.values))
    new = query.shape[1]
    seen = torch.ones(new, len(slots), dtype=torch.bool).tril(len(slots) - new)
    scores = (query @ keys.transpose(1, 2) * 0.25).masked_fill(~seen, float("-inf"))
    return (scores.softmax(-1) @ values).transpose(0, 1)


def attended(batch: list[tuple[int, list[int]]], cache: Slots, query: Any, idle: int = 0, layer: int = 0) -> Any:
    """The packed batch, `idle` rows of no sequence behind it, as the library hands it over: [tokens, heads, size]."""
    ends_q, ends_k, index = [0], [0], list[int]()
    for new, slots in [*batch, *[(0, list[int]())] * idle]:
        ends_q.append(ends_q[-1] + new)
        ends_k.append(ends_k[-1] + len(slots))
        index += slots
    new_keys = torch.zeros(1, GROUPS, ends_q[-1], SIZE)
    out, _ = attend(
        SimpleNamespace(layer_idx=layer), query, new_keys, new_keys, None, scaling=0.25, cache=cache,
        read_index=[torch.tensor(index, dtype=torch.int32)], cu_seq_lens_q=torch.tensor(ends_q),
        cu_seq_lens_k={"full_attention": torch.tensor(ends_k)},
    )  # fmt: skip
    return out[0]


def filled(size: int) -> Slots:
    """A cache of so many slots."""
    return Slots(*torch.randn(2, size, GROUPS, SIZE, generator=torch.Generator().manual_seed(1)))


@given(batches(), st.integers(0, 2))
def test_each_sequence_of_a_batch_attends_to_its_own_keys_alone(batch: list[tuple[int, list[int]]], idle: int) -> None:
    cache = filled(300)
    query = torch.randn(1, HEADS, sum(new for new, _ in batch), SIZE, generator=torch.Generator().manual_seed(2))
    for layer in (0, 1):
        out, start = attended(batch, cache, query, idle, layer), 0
        for new, slots in batch:
            torch.testing.assert_close(out[start : start + new], alone(query[0, :, start : start + new], slots, cache))
            start += new


def test_what_the_samples_of_a_prompt_have_in_common_is_read_once_for_all_of_them() -> None:
    prompt, cache = list(range(300)), filled(340)
    samples = [(1, [*prompt, *range(300 + 10 * i, 310 + 10 * i)]) for i in range(4)]
    attended(samples, cache, torch.ones(1, HEADS, 4, SIZE))
    assert cache.reads == [300 + 4 * 10]


def test_sequences_with_little_in_common_are_not_read_for_each_other() -> None:
    cache = filled(20 + 48 * 90)
    samples = [(1, [*range(20), *range(20 + 90 * i, 110 + 90 * i)]) for i in range(48)]
    attended(samples, cache, torch.ones(1, HEADS, 48, SIZE))
    assert cache.reads == [24 * (20 + 2 * 90)]  # two at a time, each with as many keys again as its own

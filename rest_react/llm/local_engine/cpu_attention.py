"""Attention for continuous batching on a CPU: every sequence against its own keys, nothing padded to the whole batch.

The library's stock CPU path multiplies all queries of a batch with all keys of the batch and masks most of it away,
which costs the square of the number of sequences. Here each prefilling sequence is one call over its own slice.
Decoding sequences that begin alike, as the samples of one prompt do, are a family: their common keys are gathered once
for all of them, behind these the keys of each, and a mask says whose is what. Families of like length are one call,
padded to the longest of them.

`use_cpu_attention(model)` switches a loaded model over. The registered name holds the word flash, which is how the
library is told that sequences come packed, with their lengths and without a mask.
Not here: GPUs (they have real kernels) and models with sliding windows (they keep the stock path).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from rest_react.weights.common_prefix import common_prefix_length

if TYPE_CHECKING:
    import torch

NAME = "cpu_flash_varlen"
_TOGETHER = 12  # fewer pad less, more make fewer calls


@dataclass(frozen=True, slots=True)
class _Sequence:
    """One that adds a token: the row of its query, and where its keys lie in the cache."""

    row: int
    slots: list[int]


@dataclass(frozen=True, slots=True)
class _Family:
    """Sequences with the first `common` slots in common: all their slots, and which of them are each one's own."""

    rows: list[int]
    slots: list[int]
    common: int
    own: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Decode:
    """Families of one size: the rows of their queries [families, members], where their keys begin, how many each has,
    and which of them each query of each member sees [families, 1, members x queries per key, keys]."""

    rows: "torch.Tensor"
    start: int
    keys: int
    mask: "torch.Tensor"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one batch is cut up; the same for all layers. Prefill spans are (query start, stop, key start, stop)."""

    read_index: "torch.Tensor"
    prefill: tuple[tuple[int, int, int, int], ...]
    decode: tuple[_Decode, ...]


_PLANS: "WeakKeyDictionary[Any, _Plan]" = WeakKeyDictionary()


def use_cpu_attention(model: Any) -> None:
    """Makes `model` (on the CPU, full attention in every layer) use this module when it is batched continuously."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    # Set past the setter, which would look for a flash-attention package.
    model.config._attn_implementation = NAME


def attend(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float | None = None,
    cache: Any = None,
    **kwargs: Any,
) -> "tuple[torch.Tensor, None]":
    """One layer's attention over a packed batch: query [1, heads, tokens, size], result [1, tokens, heads, size]."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attention

    if module.layer_idx == 0:
        _PLANS[cache] = _plan(kwargs, query.shape[1] // key.shape[1])
    plan = _PLANS[cache]
    kwargs["read_index"] = [plan.read_index]
    key, value = cache.update(key_states=key, value_states=value, layer_idx=module.layer_idx, kwargs=kwargs)
    heads, size, groups = query.shape[1], query.shape[3], key.shape[1]
    out = torch.empty(query.shape[2], heads, size, dtype=query.dtype)
    for q0, q1, k0, k1 in plan.prefill:
        queries, length = query[:, :, q0:q1], k1 - k0
        fresh = length == q1 - q0
        mask = None if fresh else torch.ones(q1 - q0, length, dtype=torch.bool).tril(length - (q1 - q0))
        part = attention(
            queries, key[:, :, k0:k1], value[:, :, k0:k1],
            attn_mask=mask, is_causal=fresh, scale=scaling, enable_gqa=True,
        )  # fmt: skip
        out[q0:q1] = part[0].transpose(0, 1)
    for group in plan.decode:
        families, members = group.rows.shape
        keys, values = (
            x[0, :, group.start : group.start + families * group.keys]
            .transpose(0, 1)
            .view(families, group.keys, groups, size)
            .transpose(1, 2)
            for x in (key, value)
        )
        rows = group.rows.view(-1)
        queries = query[0].index_select(1, rows).view(groups, -1, families, members, size).permute(2, 0, 3, 1, 4)
        part = attention(queries.reshape(families, groups, -1, size), keys, values, attn_mask=group.mask, scale=scaling)
        out[rows] = part.view(families, groups, members, -1, size).transpose(1, 2).reshape(-1, heads, size)
    return out.unsqueeze(0), None


def _plan(kwargs: dict[str, Any], queries_per_key: int) -> _Plan:
    """Cuts a batch into prefilling sequences, which come first in the new read index, and decoding ones behind."""
    import torch

    read_index = kwargs["read_index"][0]
    (lengths_k,) = kwargs["cu_seq_lens_k"].values()
    ends_q, ends_k = kwargs["cu_seq_lens_q"].tolist(), lengths_k.tolist()
    spans = list(zip(ends_q[:-1], ends_q[1:], ends_k[:-1], ends_k[1:], strict=True))
    if read_index.numel() == 0:
        return _Plan(read_index, tuple(spans), ())
    prefill, pieces, start, slots = [], [], 0, read_index.tolist()
    decoding = []
    for q0, q1, k0, k1 in spans:
        if q1 - q0 > 1:
            prefill.append((q0, q1, start, start + k1 - k0))
            pieces += slots[k0:k1]
            start += k1 - k0
        elif q1 > q0:  # else a row of no sequence, which fills up the batch
            decoding.append(_Sequence(q0, slots[k0:k1]))
    groups = []
    for group in _groups_of_like_length(_families(decoding)):
        longest = max(len(family.slots) for family in group)
        mask = torch.zeros(len(group), 1, len(group[0].rows), longest, dtype=torch.bool)
        for at, family in enumerate(group):
            pieces += family.slots + family.slots[-1:] * (longest - len(family.slots))
            mask[at, 0, :, : family.common] = True
            for member, (first, end) in enumerate(family.own):
                mask[at, 0, member, first:end] = True
        rows = torch.tensor([family.rows for family in group])
        groups.append(_Decode(rows, start, longest, mask.repeat_interleave(queries_per_key, 2)))
        start += len(group) * longest
    return _Plan(torch.tensor(pieces), tuple(prefill), tuple(groups))


def _families(decoding: list[_Sequence]) -> list[_Family]:
    """Sequences that begin alike, together, while what is read for all, and so by each, is at most twice what the
    shortest has."""
    families: list[list[_Sequence]] = []
    for sequence in sorted(decoding, key=lambda sequence: sequence.slots):
        if families and _is_worth_it([*families[-1], sequence]):
            families[-1].append(sequence)
        else:
            families.append([sequence])
    return [_family(members) for members in families]


def _is_worth_it(members: list[_Sequence]) -> bool:
    lengths = [len(member.slots) for member in members]
    read = sum(lengths) - _in_common(members) * (len(members) - 1)
    return read <= 2 * min(lengths)


def _in_common(members: list[_Sequence]) -> int:
    """How many slots all begin with: of sorted ones, what the first and the last begin with."""
    return common_prefix_length(members[0].slots, members[-1].slots)


def _family(members: list[_Sequence]) -> _Family:
    common = _in_common(members)
    slots, own = members[0].slots[:common], []
    for member in members:
        own.append((len(slots), len(slots) + len(member.slots) - common))
        slots = slots + member.slots[common:]
    return _Family([member.row for member in members], slots, common, own)


def _groups_of_like_length(families: list[_Family]) -> Iterator[list[_Family]]:
    """Families of one size and like length, so many at once that padding them costs less than calling for each."""
    families.sort(key=lambda family: (len(family.rows), len(family.slots)))
    for _, same in groupby(families, key=lambda family: len(family.rows)):
        rest = list(same)
        yield from (rest[i : i + _TOGETHER] for i in range(0, len(rest), _TOGETHER))

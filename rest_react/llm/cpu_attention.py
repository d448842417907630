"""Attention for continuous batching on a CPU: every sequence against its own keys, nothing padded to the whole batch.

The library's stock CPU path multiplies all queries of a batch with all keys of the batch and masks most of it away,
which costs the square of the number of sequences. Here each prefilling sequence is one call over its own slice, and
decoding sequences of like length are one call over keys gathered once, padded to the longest of them.

`use_cpu_attention(model)` switches a loaded model over. The registered name holds the word flash, which is how the
library is told that sequences come packed, with their lengths and without a mask.
Not here: GPUs (they have real kernels) and models with sliding windows (they keep the stock path).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import torch

NAME = "cpu_flash_varlen"
_TOGETHER = 12  # fewer pad less, more make fewer calls


@dataclass(frozen=True, slots=True)
class _Decode:
    """Sequences that each add one token: the rows of their queries, where their keys begin, padded length, mask."""

    rows: "torch.Tensor"
    start: int
    longest: int
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
        _PLANS[cache] = _plan(kwargs)
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
        count = len(group.rows)
        keys, values = (
            x[0, :, group.start : group.start + count * group.longest]
            .transpose(0, 1)
            .view(count, group.longest, groups, size)
            .transpose(1, 2)
            for x in (key, value)
        )
        queries = query[0].index_select(1, group.rows).transpose(0, 1).reshape(count, groups, -1, size)
        part = attention(queries, keys, values, attn_mask=group.mask, scale=scaling)
        out[group.rows] = part.reshape(count, heads, size)
    return out.unsqueeze(0), None


def _plan(kwargs: dict[str, Any]) -> _Plan:
    """Cuts a batch into prefilling sequences, which come first in the new read index, and decoding ones behind."""
    import torch

    read_index = kwargs["read_index"][0]
    (lengths_k,) = kwargs["cu_seq_lens_k"].values()
    ends_q, ends_k = kwargs["cu_seq_lens_q"].tolist(), lengths_k.tolist()
    spans = list(zip(ends_q[:-1], ends_q[1:], ends_k[:-1], ends_k[1:], strict=True))
    if read_index.numel() == 0:
        return _Plan(read_index, tuple(spans), ())
    prefill, pieces, start = [], [], 0
    for q0, q1, k0, k1 in spans:
        if q1 - q0 > 1:
            prefill.append((q0, q1, start, start + k1 - k0))
            pieces.append(read_index[k0:k1])
            start += k1 - k0
    decoding = sorted(((q0, k0, k1) for q0, q1, k0, k1 in spans if q1 - q0 == 1), key=lambda span: span[2] - span[1])
    groups = []
    for group in (decoding[i : i + _TOGETHER] for i in range(0, len(decoding), _TOGETHER)):
        firsts = torch.tensor([k0 for _, k0, _ in group])
        sizes = torch.tensor([k1 - k0 for _, k0, k1 in group])
        longest = int(sizes.max())
        places = torch.arange(longest)
        mask = (places < sizes[:, None])[:, None, None, :]
        within = torch.minimum(firsts[:, None] + places, (firsts + sizes - 1)[:, None])
        pieces.append(read_index[within.view(-1)])
        groups.append(_Decode(torch.tensor([q0 for q0, _, _ in group]), start, longest, mask))
        start += len(group) * longest
    return _Plan(torch.cat(pieces), tuple(prefill), tuple(groups))

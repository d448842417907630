"""The five formatting metrics of an answer that must be a list in JSON.

    >>> formatting_scores('["A", "B"]', '["A", "C"]', {"A", "B", "C", "D"})
    {'json_list': 1.0, 'keys': 1.0, 'values': 1.0, 'all_right': 0.0, 'share_right': 0.5}

- json_list: the whole answer is a list in valid JSON. A gold answer that is an object has `json_list` for an object.
- keys: it has the gold's entries, by number and, where they are objects, by their keys. None unless json_list.
- values: every value is one that stands in the training part's answers. None unless keys are valid: "given these".
- all_right: every value equals the gold's.
- share_right: the share of the gold's values that it has at their places; 0 where the answer cannot be read.

Not here: means over answers and their intervals (reporting.results.rows).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

SCORES = ("json_list", "keys", "values", "all_right", "share_right")
_UNREADABLE = object()


def formatting_scores(answer: str, gold: str, values: Collection[str]) -> dict[str, float | None]:
    """The metrics of one answer. `values` are the values of the training part (`leaf_values`); empty: any value is
    valid. Raises ValueError if the gold is no list or object in JSON."""
    wanted = _parsed(gold)
    if not isinstance(wanted, (list, dict)):
        raise ValueError(f"the gold answer {gold[:80]!r} is no list in JSON")
    given = _parsed(answer)
    if type(given) is not type(wanted):
        return dict(zip(SCORES, (0.0, None, None, 0.0, 0.0), strict=True))
    ours, theirs = dict(_leaves(given)), dict(_leaves(wanted))
    keys = ours.keys() == theirs.keys()
    valid = None if not keys else all(not values or _plain(value) in values for value in ours.values())
    right = sum(ours.get(place) == value for place, value in theirs.items())
    return {
        "json_list": 1.0,
        "keys": float(keys),
        "values": None if valid is None else float(valid),
        "all_right": float(keys and right == len(theirs)),
        "share_right": right / max(len(theirs), 1),
    }


def is_gold(text: str) -> bool:
    """Whether a gold answer is a list or object in JSON, with which answers can be compared."""
    return isinstance(_parsed(text), (list, dict))


def leaf_values(golds: Sequence[str]) -> list[str]:
    """The different values in the training part's answers, in order, texts without quotes; of answers that are not JSON
    none."""
    return sorted({_plain(value) for gold in golds for _, value in _leaves(_parsed(gold))})


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _refused(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _leaves(content: object) -> Iterator[tuple[tuple[object, ...], str]]:
    """Every value with its place, in JSON, so that "1" and 1 differ; an empty list or object is a value. Without
    recursion, since a model may nest deeper than Python calls."""
    left: list[tuple[tuple[object, ...], object]] = [((), content)]
    while left:
        place, value = left.pop()
        if isinstance(value, Mapping) and value:
            left += [((*place, key), inner) for key, inner in value.items()]
        elif isinstance(value, list) and value:
            left += [((*place, number), inner) for number, inner in enumerate(value)]
        elif value is not _UNREADABLE:
            yield place, json.dumps(value)


def _plain(value: str) -> str:
    """A value as settings name it: a text without its quotes, anything else as in JSON."""
    found = json.loads(value)
    return found if isinstance(found, str) else value

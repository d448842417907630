"""Scores of options from the likely first tokens that a server lists (`top_logprobs`).

    >>> scores_of_listed(["A", "B", "C"], {"A": -0.2, " A": -4.0, "B": -2.0}, Tokens(9, 1)).floored
    (2,)

The spellings of an option count together: with and without a space before it, and one in lower case with a capital
letter. So an option is scored alike behind "BEST:" in a text and at the start of an assistant's turn. An option that is
not listed gets a floor, an upper bound of its probability: the smallest listed one, or what all listed ones together
leave of 1 if that is less. If no option is listed, the model does not reply with one, and there are no scores.
Not here: the requests (openai_compatible), and scores by weights in this process (transformers_engine).
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from rest_react.records import OptionScores
from rest_react.remote.usage import Tokens


def spellings(option: str) -> tuple[str, ...]:
    """The texts that count as an option at the beginning of a reply.

    >>> spellings("yes"), spellings("A"), spellings("Who is Ada?")
    (('yes', ' yes', 'Yes', ' Yes'), ('A', ' A'), ('Who is Ada?', ' Who is Ada?'))
    """
    words = (option, option.capitalize()) if option.islower() else (option,)
    return tuple(f"{space}{word}" for word in words for space in ("", " "))


def log_sum(logprobs: Iterable[float]) -> float:
    """The logarithm of the sum of probabilities, from their logarithms."""
    values = list(logprobs)
    most = max(values)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(value - most) for value in values))


def scores_of_listed(options: Sequence[str], listed: Mapping[str, float], used: Tokens) -> OptionScores:
    """The scores of the options. `listed` has the log-probabilities of tokens by their text; without `logprobs` if it
    has none of the options."""
    found = {option: [listed[text] for text in spellings(option) if text in listed] for option in options}
    if not any(found.values()):
        return OptionScores((), (), used.prompt, used.completion)
    rest = 1 - math.fsum(math.exp(value) for value in listed.values())
    floor = min([*listed.values(), math.log(rest) if rest > 0 else 0.0])
    return OptionScores(
        tuple(log_sum(found[option]) if found[option] else floor for option in options),
        tuple(i for i, option in enumerate(options) if not found[option]),
        used.prompt,
        used.completion,
    )

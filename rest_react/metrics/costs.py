"""What tokens cost.

    >>> Price(input=0.4, output=1.6).usd(1_000_000, 500_000)
    1.2

Not here: which price a model has (its setting `price`) and the limit on what a run may spend (remote.budget).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; null where unknown."""

    input: float | None
    output: float | None

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What these tokens cost; None where tokens were used whose price is unknown."""
        parts = [(self.input, prompt_tokens), (self.output, completion_tokens)]
        if any(price is None and tokens for price, tokens in parts):
            return None
        return sum((price or 0.0) * tokens for price, tokens in parts) / 1e6


NO_PRICE = Price(0.0, 0.0)

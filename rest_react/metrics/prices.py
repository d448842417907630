"""Prices of tokens, and the cost of a stage.

    >>> Price(input=0.4, output=1.6).usd(1_000_000, 500_000)
    1.2

Not here: the price of a model (its setting `price` in configs/llm/*.yaml, for example `policy.price`), the price of
training (`finetune.price` in configs/finetune/hosted.yaml), and limits on spending (remote.budget).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; null where unknown."""

    input: float | None
    output: float | None

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The cost of these tokens in US dollars; None if the price of used tokens is unknown."""
        parts = [(self.input, prompt_tokens), (self.output, completion_tokens)]
        if any(price is None and tokens for price, tokens in parts):
            return None
        return sum((price or 0.0) * tokens for price, tokens in parts) / 1e6


NO_PRICE = Price(0.0, 0.0)


def bill(prices: Mapping[str, Price], **tokens: tuple[int, int]) -> dict[str, object]:
    """The cost of a stage from the tokens (in, out) of each role (policy, reward_model, grader). None with a reason if
    the price of used tokens is unknown.

    >>> bill({"policy": Price(1.0, None)}, policy=(1000, 10))
    {'cost_usd': None, 'cost_reason': 'policy.price is not set'}
    """
    costs = {role: prices[role].usd(*used) for role, used in tokens.items()}
    unknown = [role for role, cost in costs.items() if cost is None]
    if unknown:
        return {"cost_usd": None, "cost_reason": " and ".join(f"{role}.price is not set" for role in unknown)}
    return {"cost_usd": round(sum(cost or 0.0 for cost in costs.values()), 6), "cost_reason": None}

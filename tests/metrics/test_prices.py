import pytest

from rest_react.metrics.prices import NO_PRICE, Price, bill


@pytest.mark.parametrize(
    ("prices", "usd", "reason"),
    [
        ({"policy": Price(1.0, 10.0), "grader": Price(2.0, 0.0)}, 0.0015, None),
        ({"policy": NO_PRICE, "grader": NO_PRICE}, 0.0, None),
        ({"policy": NO_PRICE, "grader": Price(1.0, None)}, 0.0002, None),  # no token came out of it
        ({"policy": Price(None, 1.0), "grader": NO_PRICE}, None, "policy.price is not set"),
        (
            {"policy": Price(None, None), "grader": Price(None, None)},
            None,
            "policy.price is not set and grader.price is not set",
        ),
    ],
)
def test_a_bill_is_exact_or_names_the_missing_price(prices, usd, reason) -> None:
    assert bill(prices, policy=(1000, 10), grader=(200, 0)) == {"cost_usd": usd, "cost_reason": reason}

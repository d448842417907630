import pytest

from rest_react.judges.answer_matching.canonical_text import canonicalise


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("320km/h, 320 kph", "320 kmh , 320 kmh"),
        ("5 mW, 5 MW, 5G, 5 g", "5 milliwatt , 5 megawatt , 5g , 5 g"),
        ("$5 million, US$5m, 5,000,000 US dollars", "5000000 dollars , 5000000 dollars , 5000000 dollars"),
        ("A$5, £5, 5 €, Rs. 500", "5 aud , 5 pounds , 5 euros , 500 rupees"),
        ("US€5, RMB$20, CN$5, JP¥5", "us € 5 , rmb $ 20 , cn $ 5 , 5 yen"),  # unknown currencies stay
    ],
)
def test_money_and_measures_have_one_canonical_form(text, canonical):
    assert canonicalise(text) == canonical

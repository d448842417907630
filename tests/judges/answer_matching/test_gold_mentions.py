import pytest

from rest_react.judges.answer_matching.canonical_text import cased_words
from rest_react.judges.answer_matching.gold_mentions import find_mentions, plain_words


@pytest.mark.parametrize(
    ("answer", "golds", "mentions"),
    [
        ("Paris is Paris, not Parisville.", ["Paris"], ["Paris", "Paris"]),
        ("She met Louis the Fourteenth.", ["Louis XIV"], ["Louis the 14th"]),
        ("She met Louis XIV.", ["Louis the Fourteenth", "Louis"], ["Louis 14"]),
        ("Washington DC", ["Washington, D.C."], ["Washington , DC".replace(" ,", "")]),
        ("In 1914 to 1918, on March 14, 14 of 14 percent", ["14"], ["14"]),
        ("It is in the US, they told us.", ["US"], ["US"]),
        ("no", ["Norway", "no"], ["no"]),
        ("No, not at all", ["Norway", "no"], []),
        ("東京都の東京です", ["東京"], ["東京"]),
    ],
)
def test_mentions_are_the_whole_gold_answer_and_nothing_longer(answer, golds, mentions):
    said = cased_words(answer)
    assert [said[start:end] for start, end in find_mentions(said, golds, "What is it?")] == mentions


def test_an_amount_counts_where_the_question_asks_for_its_unit():
    said = cased_words("It cost $500, or 5 percent.")
    assert find_mentions(said, ["500"], "What did it cost?") == [(8, 11)]
    assert find_mentions(said, ["500"], "How many people live there?") == []
    assert find_mentions(said, ["5"], "How many people live there?") == []


@pytest.mark.parametrize(
    ("text", "plain"), [("The Lord of the Rings", "Lord of the Rings"), ("A", "A"), ("Who, me?", "Who me"), ("...", "")]
)
def test_a_gold_answer_is_its_words_without_a_leading_article(text, plain):
    assert plain_words(text) == plain

import pytest

from rest_react.judges.answer_matching.canonical_text import cased_words
from rest_react.judges.answer_matching.gold_mentions import answer_words, find_mentions


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
        ("It is in New York City.", ["York"], []),
        ("It is in West Virginia, near Virginia.", ["Virginia"], ["Virginia"]),
        ("It is in Papua New Guinea.", ["Guinea"], []),
        ("It is in Great Britain.", ["Britain"], ["Britain"]),
        ("It is in Perth, Western Australia.", ["Australia"], ["Australia"]),
        ("The line was extended in 1931 to 120 km.", ["120 km"], ["120 km"]),
        ("It rose from 5% to 10%.", ["10 percent"], ["10 percent"]),
        ("It is the Non Aligned Movement.", ["Non-Aligned Movement"], ["Non Aligned Movement"]),
        ("It is 5 to 7 km long, or 7 km.", ["7 km"], ["7 km"]),
        ("It is 5% to 10%.", ["5 percent", "10 percent"], []),
        ("From January 1930 to March 1931, for 7 km to 3 towns.", ["March 1931", "7 km"], ["1931 March", "7 km"]),
    ],
)
def test_a_mention_is_the_whole_gold_answer_and_nothing_longer(answer, golds, mentions):
    answer = cased_words(answer)
    assert [answer[start:end] for start, end in find_mentions(answer, golds, "What is it?")] == mentions


def test_a_number_with_a_unit_is_a_mention_only_if_the_question_asks_for_that_unit():
    answer = cased_words("It cost $500, or 5 percent.")
    assert find_mentions(answer, ["500"], "What did it cost?") == [(8, 11)]
    assert find_mentions(answer, ["500"], "How many people live there?") == []
    assert find_mentions(answer, ["5"], "How many people live there?") == []


@pytest.mark.parametrize(
    ("text", "form"), [("The Lord of the Rings", "Lord of the Rings"), ("A", "A"), ("Who, me?", "Who me"), ("...", "")]
)
def test_a_gold_answer_is_its_words_without_a_leading_article(text, form):
    assert answer_words(text) == form

import pytest

from rest_react.judges.answer_matching.assertion import is_hearsay, why_not_asserted
from rest_react.judges.answer_matching.canonical_text import cased_words, lower_case


@pytest.mark.parametrize(
    ("answer", "keyword"),
    [
        ("I doubt it is Paris.", "know"),
        ("It is not Paris.", "denied"),
        ("Paris is unlikely.", "denied"),
        ("It is larger than Paris.", "comparison"),
        ("Is it Paris?", "question"),
        ("It is Paris. Actually, it is Lyon.", "gives another"),
        ("Paris is near. The answer is Lyon.", "concludes"),
        ("It is said to be Paris, but it is Lyon.", "opinion"),
        ("Paris, Lyon.", "list"),
    ],
)
def test_the_reason_says_why_a_mention_is_not_asserted(answer: str, keyword: str) -> None:
    assert keyword in reason(answer)


def test_an_asserted_mention_has_no_reason_against_it() -> None:
    assert reason("It is Paris.") == ""


def reason(answer: str) -> str:
    text = cased_words(answer)
    at = text.index("Paris")
    return why_not_asserted(text, at, at + len("Paris"), "Where was she born?", ["Paris"])


def test_a_concession_that_reports_an_opinion_is_hearsay() -> None:
    text = lower_case(cased_words("Although some say Paris, it is Lyon."))
    assert is_hearsay(text, text.index("paris"))
    assert not is_hearsay(text, text.index("lyon"))

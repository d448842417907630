import pytest

from rest_react.judges.answer_matching.assertion import is_hearsay, objection
from rest_react.judges.answer_matching.canonical_text import cased_words, lower_case


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("It is Paris.", ""),
        ("I doubt it is Paris.", "the answer says that it does not know"),
        ("It is not Paris.", "the gold answer is denied or left open"),
        ("Paris is unlikely.", "the gold answer is denied or left open"),
        ("It is larger than Paris.", "the gold answer is named for comparison only ('than')"),
        ("Is it Paris?", "the gold answer stands in a question"),
        ("It is Paris. Actually, it is Lyon.", "the answer gives another one as well"),
        ("Paris is near. The answer is Lyon.", "the answer concludes with another one"),
        ("It is said to be Paris, but it is Lyon.", "the gold answer is only what others are said to hold"),
        ("Paris, Lyon.", "the gold answer stands in a list of candidates"),
    ],
)
def test_an_objection_says_why_a_mention_does_not_count(answer, why):
    said = cased_words(answer)
    at = said.index("Paris")
    assert objection(said, at, at + len("Paris"), "Where was she born?", ["Paris"]) == why


def test_a_concession_reports_what_others_hold():
    said = lower_case(cased_words("Although some say Paris, it is Lyon."))
    assert is_hearsay(said, said.index("paris"))
    assert not is_hearsay(said, said.index("lyon"))

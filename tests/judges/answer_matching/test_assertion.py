import pytest

from rest_react.judges.answer_matching.assertion import admits_ignorance, is_hearsay, why_not_asserted
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


@pytest.mark.parametrize(
    "says",
    [
        "Her birthplace could not be found; Paris is mentioned.",
        "It could not be determined where she was born, though Paris is mentioned.",
        "The links do not say where she was born. Paris is a town.",
        "None of the results mentions her birthplace, only Paris.",
        "There is no information about her birthplace. Paris is a town.",
        "It is unknown where she was born. Paris had seven mills.",
        "Her birthplace isn't given. Paris is a town.",
        "No birthplace is mentioned. Paris is a town.",
    ],
)
def test_an_answer_that_first_says_that_nothing_is_known_asserts_nothing(says: str) -> None:
    assert "know" in reason(says)


@pytest.mark.parametrize(
    "says",
    [
        "She was born in Paris. It is not known when she died.",
        "She was born in Paris; the links do not say more.",
        "Ada Mell, who is not known for her prose, was born in Paris.",
        "Lost until then, the letter was not found before 1920: she was born in Paris.",
        "No one is mentioned more often than Ada Mell, born in Paris.",
    ],
)
def test_what_is_not_known_of_something_else_does_not_count(says: str) -> None:
    assert reason(says) == ""


@pytest.mark.parametrize(
    ("claim", "admits"),
    [
        ("The links do not say.", True), ("No link says who.", True), ("Where she lived is unknown", True),
        ("Unknown.", True), ("I do not know.", True), ("She lived in Paris.", False),
        ("It is Unknown Pleasures.", False),
    ],
)  # fmt: skip
def test_a_claim_admits_that_the_answer_is_not_known(claim: str, admits: bool) -> None:
    assert admits_ignorance(claim, "Where did she live?") is admits
    assert not admits_ignorance("She was not known in Lund.", "Why is it said that she was not known in Lund?")


@pytest.mark.parametrize(
    ("asked", "answer", "right"),
    [
        ("Who founded Vell?", "Paris never founded it.", False),
        ("Who is credited with it?", "Paris was falsely credited.", False),
        ("Who was convicted of treason?", "Paris was falsely convicted of treason, in 1894.", False),
        ("Who was wrongly convicted of treason?", "Paris was falsely convicted of treason.", True),
        ("Which composer did not marry?", "Paris never married.", True),
        ("Which president had no children?", "Paris never had children.", True),
        ("Which planet was never visited?", "Paris never had a lander.", True),
        ("Which team lost the final?", "Paris failed to win the final.", True),
        ("Where did they play?", "They played in Paris after a long wait, in 1890.", True),
    ],
)
def test_a_verb_that_is_denied_behind_the_mention_counts_where_the_question_asks_for_it(
    asked: str, answer: str, right: bool
) -> None:
    text = cased_words(answer)
    at = text.index("Paris")
    assert (why_not_asserted(text, at, at + 5, asked, ["Paris"]) == "") is right


def test_an_asserted_mention_has_no_reason_against_it() -> None:
    assert reason("It is Paris.") == ""


@pytest.mark.parametrize(
    "says",
    [
        "There is no evidence that Ada Mell, a singer, was born in Paris.",
        "It is not true that Ada Mell, a singer, was born in Paris.",
        "She was not, as many believe, born in Paris.",
    ],
)
def test_a_denial_counts_behind_words_between_commas(says: str) -> None:
    assert "denied" in reason(says)


@pytest.mark.parametrize(
    "says",
    [
        "She was not a singer, as some say: she was born in Paris.",
        "The non-fiction book Dusk was written in Paris.",
        "The author of Never Let Me Go, Kazuo Ishiguro, was born in Paris.",
        "The author of No Country for Old Men, Cormac McCarthy, was born in Paris.",
        "The town of nearly 3,000 people, Vell, was founded in Paris.",
    ],
)
def test_a_denial_of_something_else_does_not_count(says: str) -> None:
    assert reason(says) == ""


@pytest.mark.parametrize(
    "says", ["She was born in Lyon, but some sources say Paris.", "She was born in Lyon (some sources say Paris)."]
)
def test_what_some_say_beside_another_answer_is_hearsay(says: str) -> None:
    assert "opinion" in reason(says)


def reason(answer: str) -> str:
    text = cased_words(answer)
    at = text.index("Paris")
    return why_not_asserted(text, at, at + len("Paris"), "Where was she born?", ["Paris"])


def test_a_concession_that_reports_an_opinion_is_hearsay() -> None:
    text = lower_case(cased_words("Although some say Paris, it is Lyon."))
    assert is_hearsay(text, text.index("paris"))
    assert not is_hearsay(text, text.index("lyon"))

import pytest

from rest_react.metrics.text_match import cited_links, contained, exact_match, f1, normalise, strip_citations


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("She was born in Paris [link_id=3].", "She was born in Paris."),
        ("According to [link_id=3], she was born in Paris [link_id=4] [link_id=5].", "she was born in Paris."),
        ("According to [link_id=3] and [link_id=12], Paris.", "Paris."),
        ("Paris, according to [link_id=3].", "Paris."),
        ("Paris [link_id=1, link_id=2], Lyon (link_id: 4).", "Paris, Lyon."),
        ("It costs 3 .5 [Link_ID = 2] !", "It costs 3 .5!"),
        ("[link_id=3]", ""),
        ("According to the mayor, [sic] 3.", "According to the mayor, [sic] 3."),
    ],
)
def test_citations_are_removed(text, bare):
    assert strip_citations(text) == bare


def test_normalisation_is_squad_s():
    assert normalise("  The Quick,  brown-fox's A an THE  theatre!") == "quick brownfoxs theatre"


def test_exact_match_compares_the_whole_answer_with_each_gold_answer():
    assert exact_match("The Rhine [link_id=2].", ["Danube", "rhine"]) == 1.0
    assert exact_match("It is the Rhine.", ["rhine"]) == 0.0
    assert exact_match("x", []) == 0.0


def test_f1_is_the_word_overlap_with_the_best_gold_answer():
    # 1 common word: precision 1/2, recall 1/3.
    assert f1("blue river", ["long river bed"]) == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert f1("blue river", ["long river bed", "Blue River"]) == 1.0
    assert f1("no no no", ["no"]) == 0.5  # a word counts as often as both have it
    assert f1("", ["Paris"]) == 0.0
    assert f1("the", ["a"]) == 1.0  # both empty after normalisation, as in SQuAD 2
    assert f1("x", []) == 0.0


@pytest.mark.parametrize(
    ("answer", "golds", "holds"),
    [
        ("She was born in Paris [link_id=3].", ["Lyon", "The Paris"], 1.0),
        ("In Parish, she says.", ["Paris"], 0.0),
        ("According to [link_id=1960], in 1961.", ["1960"], 0.0),
        ("Not Paris.", ["Paris"], 1.0),
        ("New York City", ["york city"], 1.0),
        ("York, a city", ["York City"], 1.0),
        ("", ["Paris"], 0.0),
        ("Anything.", ["the", ""], 0.0),
    ],
)
def test_contained_needs_a_gold_answer_word_for_word(answer, golds, holds):
    assert contained(answer, golds) == holds


@pytest.mark.parametrize(
    "cited",
    [
        "She had 4 children [3].", "She had 4 children (link 3).", "She had 4 children [link_id=3; link_id=5].",
        "She had 4 children [link_id=3 and link_id=5].", "She had 4 children (source: link_id=3).",
        'She had 4 children [link_id="3"].', "She had 4 children 【3】.", "She had 4 children [^3].",
        "According to link_id=3, she had 4 children.", "According to [3], she had 4 children.",
    ],
)  # fmt: skip
def test_a_citation_is_no_part_of_the_answer_however_it_is_written(cited: str) -> None:
    bare = strip_citations(cited)
    assert "3" not in bare
    assert "4 children" in bare
    assert 3 in cited_links(cited)


def test_numbers_in_brackets_that_cite_nothing_stay() -> None:
    assert strip_citations('["3"]') == '["3"]'
    assert strip_citations("[3]") == "[3]"
    assert strip_citations("The film [1994] is long") == "The film [1994] is long"

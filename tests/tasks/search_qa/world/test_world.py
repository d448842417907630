import asyncio
import re
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import get_args

import pytest

from rest_react.errors import ConfigError
from rest_react.questions.question_settings import QuestionContext
from rest_react.search.bm25 import Bm25Search
from rest_react.tasks.search_qa.world import Relation, World, WorldQuestions, build_world, relations
from rest_react.tasks.search_qa.world.entities import make_entity, with_fact
from rest_react.tasks.search_qa.world.kinds import COUNTS, KINDS


def world_of(seed: int = 0, passages: int = 1500, questions: int = 48) -> World:
    return build_world(seed, passages=passages, demonstrations=16, train=questions, evaluation=questions)


WORLD = world_of()
SETS = {"demo": WORLD.demonstrations, "train": WORLD.train, "eval": WORLD.evaluation}
QUESTIONS = [question for questions in SETS.values() for question in questions]
BY_ID = {passage.id: passage for passage in WORLD.passages}


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    assert repr(world_of(3, 700)) == repr(world_of(3, 700))
    assert world_of(3, 700).passages[0] != world_of(4, 700).passages[0]


def test_the_sets_have_the_given_sizes() -> None:
    assert len(WORLD.passages) == 1500
    assert {split: len(questions) for split, questions in SETS.items()} == {"demo": 16, "train": 48, "eval": 48}
    assert [q.question.id for q in WORLD.demonstrations[:2]] == ["demo-000", "demo-001"]
    assert WORLD.train[17].question.id == "train-017"
    assert WORLD.evaluation[42].question.id == "eval-042"


def test_the_relations_of_a_set_are_those_of_the_kinds_and_too_few_questions_are_refused() -> None:
    kinds = KINDS.values()
    assert {noun for kind in kinds for noun in (kind.person[0], kind.town[0], kind.year[1], kind.count[0])} == {
        *get_args(Relation)
    }
    context = QuestionContext(lambda: WORLD, 0, lambda path: ())
    asked = WorldQuestions("world", "train", None, without=("mills",), only_with=("voyages", "patron"))
    found = asked.open(context, labelled=False).labelled
    expected = [
        one for one in WORLD.train
        if "mills" not in (of := relations(WORLD.plans[one.question.text])) and {"voyages", "patron"} & {*of}
    ]  # fmt: skip
    assert list(found) == expected
    assert 0 < len(found) < len(WORLD.train)
    with pytest.raises(ConfigError, match=rf"only {len(found)} of its 48 questions"):
        replace(asked, sample=48).open(context, labelled=False)
    with pytest.raises(ConfigError) as refused:
        relations("of another task")
    assert refused.value.problems == (
        (
            "without, only_with: only the built-in questions of task=search_qa have relations; set both to [] in "
            "grow.questions and in each of evaluate.benchmarks"
        ),
    )


def test_ids_titles_and_questions_are_unique_and_every_question_has_its_plan() -> None:
    assert len(BY_ID) == len({passage.title for passage in WORLD.passages}) == len(WORLD.passages)
    texts = [q.question.text for q in QUESTIONS]
    assert len(set(texts)) == len(texts)
    assert set(WORLD.plans) == set(texts)


def test_gold_passages_have_the_titles_of_the_plan_and_the_facts_of_each_hop() -> None:
    for question in QUESTIONS:
        hops = WORLD.plans[question.question.text].hops
        assert [BY_ID[id].title for id in question.passages] == [hop.title for hop in hops]
        assert question.hops == len(hops)
        assert question.explanation == " ".join(hop.finding for hop in hops)
        for id, hop in zip(question.passages, hops, strict=True):
            value = hop.finding.rpartition(" is ")[2].removesuffix(".")
            assert hop.title in BY_ID[id].text and re.search(rf"\b{value}\b", BY_ID[id].text)


def capitalised(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Z][a-z]+\b", text))


def test_no_entity_of_one_set_is_mentioned_in_another() -> None:
    texts = {
        split: " ".join(BY_ID[id].text for q in questions for id in q.passages) for split, questions in SETS.items()
    }
    # English words and first names recur all over a large world, invented names do not.
    counts = Counter(word for passage in world_of(99, 5000).passages for word in capitalised(passage.text))
    elsewhere = {word for word, count in counts.items() if count >= 25}
    for one, other in (("demo", "train"), ("train", "eval"), ("eval", "demo")):
        assert capitalised(texts[one]) & capitalised(texts[other]) <= elsewhere
    invented = {split: capitalised(text) - elsewhere for split, text in texts.items()}
    assert all(len(invented[split]) > 2 * len(questions) for split, questions in SETS.items())
    for split, questions in SETS.items():
        for title in {BY_ID[id].title for q in questions for id in q.passages}:
            assert [other for other, text in texts.items() if re.search(rf"\b{title}\b", text)] == [split]


def test_training_and_evaluation_have_questions_unlike_the_demonstrations() -> None:
    shapes = {split: {(q.kind, q.hops) for q in questions} for split, questions in SETS.items()}
    assert shapes["demo"] == {("bridge", 2), ("date", 2)}
    assert shapes["train"] == shapes["eval"]
    assert shapes["train"] > shapes["demo"]
    assert {kind for kind, _ in shapes["train"]} == {"bridge", "comparison", "date", "count", "yesno"}
    assert {hops for _, hops in shapes["train"]} == {2, 3}


def test_most_questions_are_plain_chains_of_nouns_and_the_others_are_put_in_several_ways() -> None:
    many = build_world(1, passages=6000, demonstrations=0, train=300, evaluation=300)
    starts = Counter(
        re.match(r"(?:\w+ ){1,2}", q.question.text)[0]  # type: ignore[index]
        for q in (*many.train, *many.evaluation)
        if q.kind in ("bridge", "date", "count")
    )
    plain = starts["What is "] + starts["Who is "]
    assert 0.65 < plain / starts.total() < 0.85
    assert {"In which ", "How many ", "Who founded "} <= set(starts)


def test_no_passage_states_a_fact_twice() -> None:
    """One that did would tell that the answer to a yes-or-no question is yes."""
    world = build_world(0, passages=1200, demonstrations=40, train=100, evaluation=100)
    for passage in world.passages:
        parts = [part.strip() for part in re.split(r"\. ", passage.text.removesuffix("."))]
        assert len(set(parts)) == len(parts), passage.text


@pytest.mark.parametrize("number", ["year", "count"])
def test_a_passage_with_another_person_or_town_states_the_number_that_it_stated(number: str) -> None:
    """Else its number would tell that the answer to a yes-or-no question is yes."""
    for seed in range(20):  # in sentences, under headings, in prose
        entity = make_entity(Random(seed), "town", "Velmar", {"person": "Odo Bell", "town": "Corin"}, number)
        changed = with_fact(Random(seed), entity, "person", "Ida Lin")
        assert (changed.facts, changed.number) == ({**entity.facts, "person": "Ida Lin"}, number)
        assert "Ida Lin" in changed.text
        year, count = changed.facts["year"], changed.facts["count"]
        assert bool(re.search(rf"\b{year}\b", changed.text)) is (number == "year"), changed.text
        assert bool(re.search(rf"\b(?:{count}|{COUNTS[count]})\b", changed.text)) is (number == "count"), changed.text


def test_no_question_contains_its_answer() -> None:
    for q in QUESTIONS:
        if not q.options:
            assert not any(re.search(rf"\b{answer}\b", q.question.text) for answer in q.answers), q


@pytest.mark.parametrize("kind", ["comparison", "yesno"])
def test_always_choosing_the_same_option_is_correct_half_the_time(kind: str) -> None:
    many = build_world(1, passages=6000, demonstrations=0, train=600, evaluation=600)
    asked = [q for q in (*many.train, *many.evaluation) if q.kind == kind]
    assert all(set(q.answers) < set(q.options) and len(q.options) == 2 for q in asked)
    first = Counter(q.answers[0] == q.options[0] for q in asked)[True] / len(asked)
    assert 0.4 < first < 0.6


def test_the_expert_s_answer_contains_the_gold_answer_and_no_other_option() -> None:
    for q in QUESTIONS:
        answer = WORLD.plans[q.question.text].answer
        assert re.search(rf"\b{q.answers[0]}\b", answer)
        for option in set(q.options) - set(q.answers):
            assert not re.search(rf"\b{option}\b", answer)
        assert sorted(re.findall(r"\{(\d)\}", answer)) == [str(i) for i in range(q.hops or 0)]


def test_questions_passages_and_thoughts_are_short() -> None:
    assert max(len(passage.text.split()) for passage in WORLD.passages) <= 35
    assert max(len(q.question.text.split()) for q in QUESTIONS) <= 24
    assert sum(len(q.question.text.split()) for q in QUESTIONS) / len(QUESTIONS) < 15
    for plan in WORLD.plans.values():
        assert max(len(thoughts.split()) for thoughts in (plan.thoughts, plan.hops[0].thoughts)) <= 12
        # "Now:", and a question that is shorter for each hop that is known
        assert all(len(hop.thoughts.split()) <= len(plan.question.split()) + 1 for hop in plan.hops[1:])


def test_after_each_lookup_an_expert_asks_again_what_is_left() -> None:
    for plan in (WORLD.plans[q.question.text] for q in QUESTIONS if q.kind in ("bridge", "date", "count")):
        assert plan.hops[0].thoughts.startswith("I need the ")
        for hop in plan.hops[1:]:
            assert hop.thoughts.startswith("Now: ") and hop.thoughts.endswith("?")
            assert hop.title in hop.thoughts and plan.hops[0].title not in hop.thoughts


def test_every_gold_entity_has_near_duplicates() -> None:
    words = Counter(word for passage in WORLD.passages for word in passage.title.split())
    titles = {passage.title for passage in WORLD.passages}
    for id in {id for q in QUESTIONS for id in q.passages}:
        title = BY_ID[id].title
        longer = any(other != title and other.split()[0].startswith(title.split()[0]) for other in titles)
        assert longer or min(words[word] for word in title.split()) > 1, title


@pytest.mark.parametrize("passages", [1500, 20_000])
def test_the_expert_s_queries_find_the_gold_passages(passages: int) -> None:
    world = world_of(5, passages)
    search = Bm25Search(world.passages)
    hops = [hop for plan in world.plans.values() for hop in plan.hops]
    found = [hop.title in {hit.title for hit in asyncio.run(search.search(hop.query, 3))} for hop in hops]
    assert sum(found) / len(found) >= 0.95


def test_more_passages_or_training_questions_do_not_change_the_other_questions() -> None:
    small = build_world(2, passages=400, demonstrations=8, train=12, evaluation=12)
    large = build_world(2, passages=900, demonstrations=8, train=40, evaluation=12)
    for before, after in zip(
        (*small.demonstrations, *small.evaluation), (*large.demonstrations, *large.evaluation), strict=True
    ):
        assert (before.question, before.answers) == (after.question, after.answers)
        assert small.plans[before.question.text] == large.plans[after.question.text]


def test_ten_passages_are_enough() -> None:
    tiny = build_world(0, passages=10, demonstrations=1, train=1, evaluation=1)
    assert len(tiny.passages) == 10
    assert len(tiny.plans) == 3


def test_a_hundred_thousand_passages_are_built_quickly() -> None:
    start = time.monotonic()
    assert len(world_of(0, 100_000).passages) == 100_000
    assert time.monotonic() - start < 60


def test_too_few_passages_are_refused_with_the_number_needed() -> None:
    with pytest.raises(ConfigError, match="at least 6"):
        build_world(0, passages=5, demonstrations=1, train=1, evaluation=1)
    assert len(build_world(0, passages=6, demonstrations=1, train=1, evaluation=1).passages) == 6

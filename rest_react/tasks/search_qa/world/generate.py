"""Builds a world: the questions of three sets, their plans, and one corpus.

    world = build_world(7, passages=3000, demonstrations=30, train=60, evaluation=60)

What is left of `passages` goes to distractors, first of all near-duplicates of the gold entities (Velmar and Velmare).
Not here: searching the passages, and following the plans (scripted).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion, Passage, Plan, Question
from rest_react.seeds import derive_seed
from rest_react.tasks.search_qa.world.entities import Entity, make_entity
from rest_react.tasks.search_qa.world.kinds import KINDS
from rest_react.tasks.search_qa.world.make_questions import make_chain, make_pair, question_form
from rest_react.tasks.search_qa.world.names import Names


@dataclass(frozen=True, slots=True)
class World:
    """A corpus, three sets of questions about it, and the plan of the scripted expert for each question (by its
    text)."""

    passages: tuple[Passage, ...]
    demonstrations: tuple[LabelledQuestion, ...]
    train: tuple[LabelledQuestion, ...]
    evaluation: tuple[LabelledQuestion, ...]
    plans: Mapping[str, Plan]


def build_world(seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> World:
    """Builds the world of a seed. The questions do not depend on the number of passages, and the other two sets do not
    depend on the number of training questions. Raises ConfigError if the questions need more passages."""
    names = Names()
    entities: list[Entity] = []
    asked: dict[str, list[LabelledQuestion]] = {"eval": [], "demo": [], "train": []}
    plans: dict[str, Plan] = {}
    for split, count in (("eval", evaluation), ("demo", demonstrations), ("train", train)):
        for number in range(count):
            rng = Random(derive_seed(seed, "world", split, number))
            kind, start, path = question_form(rng, split, number)
            make = make_chain if kind in ("bridge", "date", "count") else make_pair
            gold, labelled, plan = make(rng, names, kind, start, path)
            entities += gold
            question = Question(f"{split}-{number:03d}", plan.question)
            asked[split].append(replace(labelled, question=question))
            plans[plan.question] = plan
    if passages < len(entities):
        raise ConfigError([f"world.passages: {passages} are too few; these questions need at least {len(entities)}"])
    _add_distractors(Random(derive_seed(seed, "world", "distractors")), names, entities, passages)
    Random(derive_seed(seed, "world", "order")).shuffle(entities)
    corpus = tuple(Passage(f"p{i:05d}", entity.name, entity.text) for i, entity in enumerate(entities))
    ids = {passage.title: passage.id for passage in corpus}
    sets = {
        split: tuple(replace(q, passages=tuple(ids[title] for title in q.passages)) for q in questions)
        for split, questions in asked.items()
    }
    return World(corpus, sets["demo"], sets["train"], sets["eval"], plans)


def _add_distractors(rng: Random, names: Names, entities: list[Entity], passages: int) -> None:
    """Fills up to `passages`: two near-duplicates of every gold entity, then pairs of a newcomer and its own."""
    gold = len(entities)
    while len(entities) < passages:
        number = len(entities) - gold
        near_gold = entities[number % gold] if number < 2 * gold else None
        twin = near_gold or (entities[-1] if number % 2 else None)
        kind = twin.kind if twin else rng.choice(tuple(KINDS))
        name = names.near(rng, twin) if twin else names.fresh(rng, kind)
        facts = {
            target: rng.choice(known) if known and rng.random() < 0.5 else names.fresh(rng, target)
            for target, known in names.mentioned.items()
        }
        entities.append(make_entity(rng, kind, name, facts, rng.choice(("year", "count"))))

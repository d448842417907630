"""An entity with its four facts, and the passage that states three of them.

    make_entity(rng, "town", "Velmar", {"person": "Odo Bell", "town": "Corin"}, "year").text
    # "The founder of Velmar is Odo Bell. ..."

Not here: which entities a question needs (world.make_questions).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from rest_react.tasks.search_qa.world.kinds import COUNTS, KINDS, noun_of

_PASSAGES = (0.5, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class Entity:
    """One passage to be; `facts` are keyed by relation: person, town, year, count. `number` is the one that the passage
    states, year or count."""

    kind: str
    name: str
    facts: Mapping[str, str]
    text: str
    number: str


def make_entity(rng: Random, kind: str, name: str, facts: Mapping[str, str], number: str) -> Entity:
    """An entity with its passage. `number` says which number the passage states, year or count; it is drawn unless
    given. People are born before anything is founded."""
    year = rng.randrange(1780, 1840) if kind == "person" else rng.randrange(1860, 1910)
    complete = {"year": str(year), "count": rng.choice(tuple(COUNTS)), **facts}
    return Entity(kind, name, complete, _passage(rng, kind, name, complete, number), number)


def with_fact(rng: Random, entity: Entity, relation: str, value: str) -> Entity:
    """The same entity with another fact, and its passage rewritten."""
    number = relation if relation in ("year", "count") else entity.number  # a person or town is stated in any case
    return make_entity(rng, entity.kind, entity.name, {**entity.facts, relation: value}, number)


def _passage(rng: Random, kind: str, name: str, facts: Mapping[str, str], number: str) -> str:
    """The facts in any order: in sentences of the same form as what is asked, under headings, or in prose."""
    nouns = [(noun_of(kind, relation), facts[relation]) for relation in rng.sample(("person", "town", number), 3)]
    match rng.choices(("sentences", "headings", "prose"), _PASSAGES)[0]:
        case "sentences":
            return " ".join(f"The {noun} of {name} is {fact}." for noun, fact in nouns)
        case "headings":
            return f"{name}, a {kind}. " + " ".join(f"{noun.capitalize()}: {fact}." for noun, fact in nouns)
    detail = KINDS[kind].details[number == "count"].format(name=name, **facts)
    return KINDS[kind].prose.format(name=name, detail=detail, **facts)

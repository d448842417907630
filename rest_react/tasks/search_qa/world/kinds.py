"""The six kinds of entity, and how each is named and spoken of.

    noun_of("book", "person")      # "author"

Not here: names (world.names), and the passages made of them (world.entities).
"""

from collections.abc import Mapping
from dataclasses import dataclass

_NUMBERS = "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
COUNTS = {str(number): word for number, word in enumerate(_NUMBERS, start=3)}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of entity is named and spoken of. `person`: the relation's noun and verb; `town`: its noun, the
    clause that describes the town, the question for it; `year`: its participle and noun; `count`: what is counted, and
    the question for it; `prose`: a passage, ended by one of `details`, on the year or the count."""

    name: str
    person: tuple[str, str]
    town: tuple[str, str, str]
    year: tuple[str, str]
    count: tuple[str, str]
    prose: str
    details: tuple[str, str]


KINDS: Mapping[str, Kind] = {
    "book": Kind(
        "The {thing} of {word}",
        ("author", "wrote"),
        ("setting", "the town where {} is set", "In which town is {} set?"),
        ("printed", "printing year"),
        ("languages", "How many languages was {} translated into?"),
        "{name} is a novel by {person}, set in {town}. {detail}",
        ("It was printed in {year}.", "It was read in {count} languages."),
    ),
    "bridge": Kind(
        "{word} Bridge",
        ("designer", "designed"),
        ("location", "the town where {} stands", "In which town does {} stand?"),
        ("opened", "opening year"),
        ("arches", "How many arches does {} have?"),
        "{name} is a stone bridge in {town}, designed by {person}. {detail}",
        ("It opened in {year}.", "It has {count} arches."),
    ),
    "festival": Kind(
        "{word} Festival",
        ("patron", "pays for"),
        ("venue", "the town where {} is held", "In which town is {} held?"),
        ("started", "starting year"),
        ("stages", "How many stages does {} have?"),
        "{name} is held in {town}. Its patron is {person}. {detail}",
        ("It started in {year}.", "It has {count} stages."),
    ),
    "company": Kind(
        "{word} {trade}",
        ("owner", "owns"),
        ("seat", "the town where {} has its seat", "In which town does {} have its seat?"),
        ("registered", "registration year"),
        ("workshops", "How many workshops does {} run?"),
        "{name} has its seat in {town} and its owner is {person}. {detail}",
        ("It was registered in {year}.", "It runs {count} workshops."),
    ),
    "town": Kind(
        "{word}",
        ("founder", "founded"),
        ("twin town", "the town twinned with {}", "Which town is the twin town of {}?"),
        ("founded", "founding year"),
        ("mills", "How many mills does {} have?"),
        "{name} is a town founded by {person}. Its twin town is {town}. {detail}",
        ("It was founded in {year}.", "It has {count} mills."),
    ),
    "person": Kind(
        "{first} {word}",
        ("teacher", "taught"),
        ("birthplace", "the town where {} was born", "In which town was {} born?"),
        ("born", "birth year"),
        ("voyages", "How many voyages did {} make?"),
        "{name} was born in {town} and had {person} as a teacher. {detail}",
        ("{name} was born in {year}.", "{name} made {count} voyages."),
    ),
}


def noun_of(kind: str, relation: str) -> str:
    """The noun of a relation of an entity of this kind, as in "the author of"."""
    spoken = KINDS[kind]
    nouns = {"person": spoken.person[0], "town": spoken.town[0], "year": spoken.year[1]}
    return nouns.get(relation, f"number of {spoken.count[0]}")

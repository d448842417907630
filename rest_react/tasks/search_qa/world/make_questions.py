"""Questions with their entities, labels and plans: along one path (a chain), or about two entities (a pair).

    entities, labelled, plan = make_chain(rng, names, "date", "festival", ("town", "year"))
    plan.question       # "What is the founding year of the venue of Coral Festival?"

Not here: ids, and the distractors in the corpus (world.generate).
"""

from dataclasses import replace
from random import Random

from rest_react.records import Hop, LabelledQuestion, Plan, Question
from rest_react.tasks.search_qa.world.entities import Entity, make_entity, with_fact
from rest_react.tasks.search_qa.world.kinds import COUNTS, KINDS, noun_of
from rest_react.tasks.search_qa.world.names import Names

# (kind of question, entity it starts from, path); everything else the policy has to learn from its own rollouts.
_DEMONSTRATED = [
    form.split("-")
    for form in (
        "bridge-book-person-town date-festival-town-year bridge-company-town-person "
        "date-book-person-year bridge-festival-town-person bridge-company-person-town"
    ).split()
]
# (kind of question, hops), asked in turn by the training and the evaluation questions.
_ASKED = tuple(
    (form.split("-")[0], int(form.split("-")[1]))
    for form in (
        "bridge-2 date-2 count-2 bridge-2 bridge-2 date-2 count-2 bridge-2 bridge-3 comparison-2 "
        "bridge-2 date-2 count-2 bridge-2 bridge-2 date-2 count-2 bridge-2 date-3 yesno-2"
    ).split()
)
_PLAIN = 0.75


def question_form(rng: Random, split: str, number: int) -> tuple[str, str, tuple[str, ...]]:
    """The kind of question, the kind of its first entity, and the path of relations."""
    if split == "demo":
        kind, start, *path = _DEMONSTRATED[number % len(_DEMONSTRATED)]
        return kind, start, tuple(path)
    kind, hops = _ASKED[number % len(_ASKED)]
    length = hops // 2 if kind in ("comparison", "yesno") else hops
    # Persons and towns in turn: "the teacher of the teacher of the teacher" is no question anybody asks.
    turns = rng.choice((("person", "town"), ("town", "person"))) * 2
    last = {"comparison": ("year",), "date": ("year",), "count": ("count",)}.get(kind, ())
    return kind, rng.choice(tuple(KINDS)), (*turns[: length - len(last)], *last)


def make_chain(
    rng: Random, names: Names, kind: str, start: str, path: tuple[str, ...]
) -> tuple[list[Entity], LabelledQuestion, Plan]:
    """A question along one path: who (bridge), in which year (date), how many (count)."""
    chain = _entities(rng, names, start, path)
    answer = chain[-1].facts[path[-1]]
    plain = rng.random() < _PLAIN
    asks = _ask(chain[-1].kind, path[-1], plain=plain)
    text = asks.format(_describe(rng, chain, path, plain=plain))
    # What is left to ask once a hop is known: the question again, from the entity that was found.
    left = [asks.format(_describe(rng, chain[i:], path[i:], plain=True)) for i in range(1, len(chain))]
    first, *others = _hops(chain, path)
    hops = (first, *(replace(hop, thoughts=f"Now: {rest}") for hop, rest in zip(others, left, strict=True)))
    says = " ".join(f"{hop.finding.removesuffix('.')} {{{i}}}." for i, hop in enumerate(hops))
    plan = Plan(text, hops, f"I have it: {answer}.", says)
    answers = (answer, COUNTS[answer]) if kind == "count" else (answer,)
    return chain, _labelled(kind, plan, answers, ()), plan


def make_pair(
    rng: Random, names: Names, kind: str, start: str, path: tuple[str, ...]
) -> tuple[list[Entity], LabelledQuestion, Plan]:
    """A question about two entities along the same path: which was first (comparison), have they the same (yesno)."""
    length, relation = len(path), path[-1]
    left = _entities(rng, names, start, path)
    right = _entities(rng, names, start, path)
    # Half the yes/no questions are made true; two equal years would leave a comparison without an answer.
    if kind == "yesno" and rng.random() < 0.5:
        right[-1] = with_fact(rng, right[-1], relation, left[-1].facts[relation])
    while kind == "comparison" and right[-1].facts["year"] == left[-1].facts["year"]:
        year = str(int(left[-1].facts["year"]) + rng.choice((-7, -4, 3, 9)))
        right[-1] = with_fact(rng, right[-1], "year", year)
    values = left[-1].facts[relation], right[-1].facts[relation]
    plain = rng.random() < _PLAIN
    subjects = _describe(rng, left, path, plain=plain), _describe(rng, right, path, plain=plain)
    cites = [" ".join(f"{{{i}}}" for i in range(first, first + length)) for first in (0, length)]
    spoken = KINDS[left[-1].kind]
    if kind == "comparison":
        won = 0 if int(values[0]) < int(values[1]) else 1
        answer, options = (left, right)[won][-1].name, (left[-1].name, right[-1].name)
        who = "Who" if left[-1].kind == "person" else "Which"
        first = f"has the earlier {spoken.year[1]}" if plain else f"was {spoken.year[0]} first"
        text = f"{who} {first}, {subjects[0]} or {subjects[1]}?"
        says = f"{answer} was {spoken.year[0]} first, in {values[won]} {cites[won]};"
        says += f" the other in {values[1 - won]} {cites[1 - won]}."
    else:
        noun = noun_of(left[-1].kind, relation)
        answer, options = "Yes" if values[0] == values[1] else "No", ("Yes", "No")
        text = f"Do {subjects[0]} and {subjects[1]} have the same {noun}?"
        says = f"Yes, the {noun} of both is {values[0]} {cites[0]} {cites[1]}."
        if answer == "No":
            of = f"the {noun} of {left[-1].name} is {values[0]} {cites[0]}"
            says = f"No, {of} and that of {right[-1].name} is {values[1]} {cites[1]}."
    plan = Plan(text, _hops(left, path) + _hops(right, path), f"I have it: {answer}.", says)
    return left + right, _labelled(kind, plan, (answer,), options), plan


def _labelled(kind: str, plan: Plan, answers: tuple[str, ...], options: tuple[str, ...]) -> LabelledQuestion:
    """The question with its label; id and passage ids are filled in when the whole corpus is known."""
    titles = tuple(hop.title for hop in plan.hops)
    reason = " ".join(hop.finding for hop in plan.hops)
    return LabelledQuestion(Question("", plan.question), answers, options, kind, len(plan.hops), titles, reason)


def _entities(rng: Random, names: Names, start: str, path: tuple[str, ...]) -> list[Entity]:
    """The entities along a path; each one's fact is the next one's name."""
    chain = []
    kind, name = start, names.fresh(rng, start)
    for relation in path:
        facts = {target: names.fresh(rng, target) for target in ("person", "town")}
        number = relation if relation in ("year", "count") else rng.choice(("year", "count"))
        chain.append(make_entity(rng, kind, name, facts, number))
        if relation in facts:
            kind, name = relation, facts[relation]
    return chain


def _hops(chain: list[Entity], path: tuple[str, ...]) -> tuple[Hop, ...]:
    """The searches along a chain of entities."""
    hops = []
    for entity, relation in zip(chain, path, strict=True):
        wanted = f"{noun_of(entity.kind, relation)} of {entity.name}"
        found = f"The {wanted} is {entity.facts[relation]}."
        hops.append(Hop(wanted, f"I need the {noun_of(entity.kind, relation)}.", entity.name, found))
    return tuple(hops)


def _ask(kind: str, relation: str, *, plain: bool) -> str:
    if plain:
        return f"{'Who' if relation == 'person' else 'What'} is the {noun_of(kind, relation)} of {{}}?"
    spoken = KINDS[kind]
    who, when = f"Who {spoken.person[1]} {{}}?", f"In which year was {{}} {spoken.year[0]}?"
    return {"person": who, "town": spoken.town[2], "year": when, "count": spoken.count[1]}[relation]


def _describe(rng: Random, chain: list[Entity], path: tuple[str, ...], *, plain: bool) -> str:
    """The last entity of a chain, described from its first: "the birthplace of the author of The Lantern of Dravol"."""
    text = chain[0].name
    for entity, relation in zip(chain[:-1], path, strict=False):
        spoken = KINDS[entity.kind]
        clause = f"the person who {spoken.person[1]} {{}}" if relation == "person" else spoken.town[1]
        # Clauses in clauses are hard to read, so only short chains have one.
        described = (
            clause
            if not plain and len(chain) == 2 and rng.random() < 0.5
            else f"the {noun_of(entity.kind, relation)} of {{}}"
        )
        text = described.format(text)
    return text

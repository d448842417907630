"""The built-in closed world: invented entities, short passages about them, and questions of 2 or 3 hops.

Six kinds of entity (book, bridge, festival, company, town, person) each have the same four facts: a person, a town, a
year and a count. A passage states three of one entity in one of several forms; a question follows them:

    The Lantern of Dravol -- person --> Imra Tesken -- town --> Velmar -- year --> 1874
    "In which year was the birthplace of the author of The Lantern of Dravol founded?"        (kind date, 3 hops)

Comparison and yes/no questions follow the same path from two entities. Three questions in four are plain chains of
nouns ("What is the founding year of the birthplace of the author of ...?"), the others are put as people put them.
Every question has entities of its own, so the demonstrations, the training and the evaluation questions share none; the
demonstrations show two kinds of question out of five, of two hops and a few relations. After each lookup their expert
asks again what is left ("Now: In which year was Velmar founded?"). What is left of `passages` goes to distractors,
first of all near-duplicates of the gold entities (Velmar and Velmare). Nothing here exists, so nothing a model has read
before helps it.

Not here: searching the passages, and following the plans (a scripted policy does).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal, TypeAlias

from annotated_types import Interval

from rest_react.errors import ConfigError
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.records import Hop, LabelledQuestion, Passage, Plan, Question
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count, NotNegative


@dataclass(frozen=True, slots=True)
class World:
    """A corpus, three sets of questions about it, and the plan of the scripted expert for each question (by its
    text)."""

    passages: tuple[Passage, ...]
    demonstrations: tuple[LabelledQuestion, ...]
    train: tuple[LabelledQuestion, ...]
    evaluation: tuple[LabelledQuestion, ...]
    plans: Mapping[str, Plan]


@dataclass(frozen=True, slots=True)
class _Kind:
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


@dataclass(frozen=True, slots=True)
class _Entity:
    """One passage to be; `facts` are keyed by relation: person, town, year, count."""

    kind: str
    name: str
    facts: Mapping[str, str]
    text: str


_KINDS: Mapping[str, _Kind] = {
    "book": _Kind(
        "The {thing} of {word}",
        ("author", "wrote"),
        ("setting", "the town where {} is set", "In which town is {} set?"),
        ("printed", "printing year"),
        ("languages", "How many languages was {} translated into?"),
        "{name} is a novel by {person}, set in {town}. {detail}",
        ("It was printed in {year}.", "It was read in {count} languages."),
    ),
    "bridge": _Kind(
        "{word} Bridge",
        ("designer", "designed"),
        ("location", "the town where {} stands", "In which town does {} stand?"),
        ("opened", "opening year"),
        ("arches", "How many arches does {} have?"),
        "{name} is a stone bridge in {town}, designed by {person}. {detail}",
        ("It opened in {year}.", "It has {count} arches."),
    ),
    "festival": _Kind(
        "{word} Festival",
        ("patron", "pays for"),
        ("venue", "the town where {} is held", "In which town is {} held?"),
        ("started", "starting year"),
        ("stages", "How many stages does {} have?"),
        "{name} is held in {town}. Its patron is {person}. {detail}",
        ("It started in {year}.", "It has {count} stages."),
    ),
    "company": _Kind(
        "{word} {trade}",
        ("owner", "owns"),
        ("seat", "the town where {} has its seat", "In which town does {} have its seat?"),
        ("registered", "registration year"),
        ("workshops", "How many workshops does {} run?"),
        "{name} has its seat in {town} and its owner is {person}. {detail}",
        ("It was registered in {year}.", "It runs {count} workshops."),
    ),
    "town": _Kind(
        "{word}",
        ("founder", "founded"),
        ("twin town", "the town twinned with {}", "Which town is the twin town of {}?"),
        ("founded", "founding year"),
        ("mills", "How many mills does {} have?"),
        "{name} is a town founded by {person}. Its twin town is {town}. {detail}",
        ("It was founded in {year}.", "It has {count} mills."),
    ),
    "person": _Kind(
        "{first} {word}",
        ("teacher", "taught"),
        ("birthplace", "the town where {} was born", "In which town was {} born?"),
        ("born", "birth year"),
        ("voyages", "How many voyages did {} make?"),
        "{name} was born in {town} and had {person} as a teacher. {detail}",
        ("{name} was born in {year}.", "{name} made {count} voyages."),
    ),
}

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
_PASSAGES = (0.5, 0.25, 0.25)
_NUMBERS = "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_COUNTS = {str(number): word for number, word in enumerate(_NUMBERS, start=3)}
_FIRST = (
    "Imra Odo Selka Tavin Brenna Jorik Malva Perrin Ysolt Hadri Kessa Lorn Nevin Orla Ruvik Signa Ulma Wendel".split()
)
_THINGS = "Lantern Orchard Mirror Harbour Winter Garden Letters Shadow Music Winds Keeper Silence".split()
_TRADES = "Glass Paper Clocks Boots Salt Rope Lamps Timber Bells Carpets".split()
_HEADS = (
    "Al Bar Bel Ber Bran Cal Car Cor Dan Del Ed El Fal Far Gar Gil Hal Har Hol Jan Kel Lan Lor Mal Mar Mel Mor Nor Pal "
    "Par Pel Per Ral Ran Ros Sal Sel Sol Tal Tam Ter Tor Val Ver Vin Wal Wil Win"
).split()
_MIDDLES = "a an and e el en er i il in o ol on or u".split()
_TAILS = (
    "den dale don eth ford ham ian ish ker land ley lin low man mar mer mond more ner nes rick ridge rin ron ry set "
    "son stead ston ter ton tor um us ven ville well wick win worth"
).split()


class _Names:
    """Gives new names, and stores the people and towns that were mentioned."""

    def __init__(self) -> None:
        self._used: set[str] = {*_FIRST, *_THINGS, *_TRADES}
        self.mentioned: dict[str, list[str]] = {"person": [], "town": []}

    def fresh(self, rng: Random, kind: str) -> str:
        """A new name for an entity of this kind, from a word that no other name holds; short words come first."""
        word, middles = "", 0
        while not word or word in self._used:
            word = rng.choice(_HEADS) + "".join(rng.choice(_MIDDLES) for _ in range(middles // 4)) + rng.choice(_TAILS)
            middles += 1
        self._used.add(word)
        name = self._name(rng, kind, word)
        self._used.add(name)
        if kind in self.mentioned:
            self.mentioned[kind].append(name)
        return name

    def near(self, rng: Random, entity: _Entity) -> str:
        """A new name that resembles the entity's name: another first name, or one more letter."""
        word = entity.name.split()[0 if entity.kind in ("town", "bridge", "festival", "company") else -1]
        name = entity.name
        while name in self._used:
            name = self._name(rng, entity.kind, word)
            word += rng.choice("aeo" if word[-1] not in "aeiou" else "nrs")
        self._used.add(name)
        return name

    def _name(self, rng: Random, kind: str, word: str) -> str:
        first, thing, trade = rng.choice(_FIRST), rng.choice(_THINGS), rng.choice(_TRADES)
        return _KINDS[kind].name.format(word=word, first=first, thing=thing, trade=trade)


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Size of the built-in world of invented entities."""

    seed: int  # a different seed gives a different world
    passages: Annotated[int, Interval(ge=10, le=100_000)]  # number of passages in its corpus
    demonstrations: NotNegative  # number of questions that the scripted expert answers as demonstrations
    train: NotNegative  # questions to grow on
    evaluation: NotNegative  # questions to evaluate on


# Every relation that a question may ask for: the nouns of _KINDS.
Relation: TypeAlias = Literal[
    "author", "setting", "printing year", "languages", "designer", "location", "opening year", "arches", "patron",
    "venue", "starting year", "stages", "owner", "seat", "registration year", "workshops", "founder", "twin town",
    "founding year", "mills", "teacher", "birthplace", "birth year", "voyages",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorldQuestions(QuestionSettings):
    """Questions of the built-in world. The relations have defaults, because most sets ask for all."""

    is_world: ClassVar[bool] = True

    kind: Literal["world"]
    split: Literal["demonstrations", "train", "evaluation"]  # which of its sets
    sample: Count | None  # so many questions, drawn at random; null: all
    without: tuple[Relation, ...] = ()  # leaves out questions that ask for one of these relations
    only_with: tuple[Relation, ...] = ()  # leaves out questions that ask for none of these relations; empty: keeps them

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        world = context.world()
        sets = {"demonstrations": world.demonstrations, "train": world.train, "evaluation": world.evaluation}
        found = sets[self.split]
        if self.without or self.only_with:
            asked = [set(relations(world.plans[one.question.text])) for one in found]
            found = tuple(one for one, of in zip(found, asked, strict=True) if self._keeps(of))
            if len(found) < (self.sample or 1):
                told = (
                    f"only {len(found)} of its {len(asked)} questions have the relations of `without` and `only_with`"
                )
                raise ConfigError([f"world.{self.split}: {told}; raise it, or lower `sample`"])
        return OpenedQuestions(found, world.passages, context.world_seed)

    def _keeps(self, asked: AbstractSet[str]) -> bool:
        return asked.isdisjoint(self.without) and not (self.only_with and asked.isdisjoint(self.only_with))

    def size(self, world: Mapping[str, int]) -> int | None:
        return None if self.without or self.only_with else world[self.split]

    def setting_of_passages(self, path: str) -> str | None:
        return None


def build_world(seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> World:
    """Builds the world of a seed. The questions do not depend on the number of passages, and the other two sets do not
    depend on the number of training questions. Raises ConfigError if the questions need more passages."""
    names = _Names()
    entities: list[_Entity] = []
    asked: dict[str, list[LabelledQuestion]] = {"eval": [], "demo": [], "train": []}
    plans: dict[str, Plan] = {}
    for split, count in (("eval", evaluation), ("demo", demonstrations), ("train", train)):
        for number in range(count):
            rng = Random(derive_seed(seed, "world", split, number))
            kind, start, path = _form(rng, split, number)
            make = _chain if kind in ("bridge", "date", "count") else _pair
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


def relations(plan: object) -> tuple[str, ...]:
    """The relations that a question asks for, hop by hop. Raises ConfigError for a plan of another task.

    >>> relations(Plan("...", (Hop("number of mills of Velmar", "", "Velmar", ""),), "", ""))
    ('mills',)
    """
    if not isinstance(plan, Plan):
        raise ConfigError(["without, only_with: only questions of the built-in world of search_qa have relations"])
    return tuple(hop.query.removesuffix(f" of {hop.title}").removeprefix("number of ") for hop in plan.hops)


def _form(rng: Random, split: str, number: int) -> tuple[str, str, tuple[str, ...]]:
    """The kind of question, the kind of its first entity, and the path of relations."""
    if split == "demo":
        kind, start, *path = _DEMONSTRATED[number % len(_DEMONSTRATED)]
        return kind, start, tuple(path)
    kind, hops = _ASKED[number % len(_ASKED)]
    length = hops // 2 if kind in ("comparison", "yesno") else hops
    # Persons and towns in turn: "the teacher of the teacher of the teacher" is no question anybody asks.
    turns = rng.choice((("person", "town"), ("town", "person"))) * 2
    last = {"comparison": ("year",), "date": ("year",), "count": ("count",)}.get(kind, ())
    return kind, rng.choice(tuple(_KINDS)), (*turns[: length - len(last)], *last)


def _chain(
    rng: Random, names: _Names, kind: str, start: str, path: tuple[str, ...]
) -> tuple[list[_Entity], LabelledQuestion, Plan]:
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
    answers = (answer, _COUNTS[answer]) if kind == "count" else (answer,)
    return chain, _labelled(kind, plan, answers, ()), plan


def _pair(
    rng: Random, names: _Names, kind: str, start: str, path: tuple[str, ...]
) -> tuple[list[_Entity], LabelledQuestion, Plan]:
    """A question about two entities along the same path: which was first (comparison), have they the same (yesno)."""
    length, relation = len(path), path[-1]
    left = _entities(rng, names, start, path)
    right = _entities(rng, names, start, path)
    # Half the yes/no questions are made true; two equal years would leave a comparison without an answer.
    if kind == "yesno" and rng.random() < 0.5:
        right[-1] = _changed(rng, right[-1], relation, left[-1].facts[relation])
    while kind == "comparison" and right[-1].facts["year"] == left[-1].facts["year"]:
        year = str(int(left[-1].facts["year"]) + rng.choice((-7, -4, 3, 9)))
        right[-1] = _changed(rng, right[-1], "year", year)
    values = left[-1].facts[relation], right[-1].facts[relation]
    plain = rng.random() < _PLAIN
    subjects = _describe(rng, left, path, plain=plain), _describe(rng, right, path, plain=plain)
    cites = [" ".join(f"{{{i}}}" for i in range(first, first + length)) for first in (0, length)]
    spoken = _KINDS[left[-1].kind]
    if kind == "comparison":
        won = 0 if int(values[0]) < int(values[1]) else 1
        answer, options = (left, right)[won][-1].name, (left[-1].name, right[-1].name)
        who = "Who" if left[-1].kind == "person" else "Which"
        first = f"has the earlier {spoken.year[1]}" if plain else f"was {spoken.year[0]} first"
        text = f"{who} {first}, {subjects[0]} or {subjects[1]}?"
        says = f"{answer} was {spoken.year[0]} first, in {values[won]} {cites[won]};"
        says += f" the other in {values[1 - won]} {cites[1 - won]}."
    else:
        noun = _noun(left[-1].kind, relation)
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


def _entities(rng: Random, names: _Names, start: str, path: tuple[str, ...]) -> list[_Entity]:
    """The entities along a path; each one's fact is the next one's name."""
    chain = []
    kind, name = start, names.fresh(rng, start)
    for relation in path:
        facts = {target: names.fresh(rng, target) for target in ("person", "town")}
        number = relation if relation in ("year", "count") else rng.choice(("year", "count"))
        chain.append(_entity(rng, kind, name, facts, number))
        if relation in facts:
            kind, name = relation, facts[relation]
    return chain


def _entity(rng: Random, kind: str, name: str, facts: Mapping[str, str], number: str) -> _Entity:
    """An entity with its passage. `number` says which number the passage states, year or count; it is drawn unless
    given. People are born before anything is founded."""
    year = rng.randrange(1780, 1840) if kind == "person" else rng.randrange(1860, 1910)
    complete = {"year": str(year), "count": rng.choice(tuple(_COUNTS)), **facts}
    return _Entity(kind, name, complete, _passage(rng, kind, name, complete, number))


def _passage(rng: Random, kind: str, name: str, facts: Mapping[str, str], number: str) -> str:
    """The facts in any order: in sentences of the same form as what is asked, under headings, or in prose."""
    nouns = [(_noun(kind, relation), facts[relation]) for relation in rng.sample(("person", "town", number), 3)]
    match rng.choices(("sentences", "headings", "prose"), _PASSAGES)[0]:
        case "sentences":
            return " ".join(f"The {noun} of {name} is {fact}." for noun, fact in nouns)
        case "headings":
            return f"{name}, a {kind}. " + " ".join(f"{noun.capitalize()}: {fact}." for noun, fact in nouns)
    detail = _KINDS[kind].details[number == "count"].format(name=name, **facts)
    return _KINDS[kind].prose.format(name=name, detail=detail, **facts)


def _changed(rng: Random, entity: _Entity, relation: str, value: str) -> _Entity:
    """The same entity with another fact, and its passage rewritten."""
    return _entity(rng, entity.kind, entity.name, {**entity.facts, relation: value}, relation)


def _hops(chain: list[_Entity], path: tuple[str, ...]) -> tuple[Hop, ...]:
    """The searches along a chain of entities."""
    hops = []
    for entity, relation in zip(chain, path, strict=True):
        wanted = f"{_noun(entity.kind, relation)} of {entity.name}"
        found = f"The {wanted} is {entity.facts[relation]}."
        hops.append(Hop(wanted, f"I need the {_noun(entity.kind, relation)}.", entity.name, found))
    return tuple(hops)


def _noun(kind: str, relation: str) -> str:
    spoken = _KINDS[kind]
    nouns = {"person": spoken.person[0], "town": spoken.town[0], "year": spoken.year[1]}
    return nouns.get(relation, f"number of {spoken.count[0]}")


def _ask(kind: str, relation: str, *, plain: bool) -> str:
    if plain:
        return f"{'Who' if relation == 'person' else 'What'} is the {_noun(kind, relation)} of {{}}?"
    spoken = _KINDS[kind]
    who, when = f"Who {spoken.person[1]} {{}}?", f"In which year was {{}} {spoken.year[0]}?"
    return {"person": who, "town": spoken.town[2], "year": when, "count": spoken.count[1]}[relation]


def _describe(rng: Random, chain: list[_Entity], path: tuple[str, ...], *, plain: bool) -> str:
    """The last entity of a chain, described from its first: "the birthplace of the author of The Lantern of Dravol"."""
    text = chain[0].name
    for entity, relation in zip(chain[:-1], path, strict=False):
        spoken = _KINDS[entity.kind]
        clause = f"the person who {spoken.person[1]} {{}}" if relation == "person" else spoken.town[1]
        # Clauses in clauses are hard to read, so only short chains have one.
        described = (
            clause
            if not plain and len(chain) == 2 and rng.random() < 0.5
            else f"the {_noun(entity.kind, relation)} of {{}}"
        )
        text = described.format(text)
    return text


def _add_distractors(rng: Random, names: _Names, entities: list[_Entity], passages: int) -> None:
    """Fills up to `passages`: two near-duplicates of every gold entity, then pairs of a newcomer and its own."""
    gold = len(entities)
    while len(entities) < passages:
        number = len(entities) - gold
        near_gold = entities[number % gold] if number < 2 * gold else None
        twin = near_gold or (entities[-1] if number % 2 else None)
        kind = twin.kind if twin else rng.choice(tuple(_KINDS))
        name = names.near(rng, twin) if twin else names.fresh(rng, kind)
        facts = {
            target: rng.choice(known) if known and rng.random() < 0.5 else names.fresh(rng, target)
            for target, known in names.mentioned.items()
        }
        entities.append(_entity(rng, kind, name, facts, rng.choice(("year", "count"))))

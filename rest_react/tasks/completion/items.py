"""Built-in items of the completion task: invented complaints of one sentence, in four classes.

    build_items(0, demonstrations=4, train=6, evaluation=8).train[0]
    # LabelledQuestion(Question("train-000", "The parcel for order 4821 to Dravol came 9 days late."), ("delivery",))

Each item has a different order number, so the sets have no item in common.
Not here: a user's own items, which are a question file (`grow.questions=file`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from rest_react.records import LabelledQuestion, Passage, Question

_COMPLAINTS: Mapping[str, tuple[str, ...]] = {
    "billing": (
        "I was charged twice for order {order}, {n} crowns too much.",
        "The invoice for order {order} from {town} lists {n} items that I never bought.",
        "My refund of {n} crowns for order {order} has not been paid.",
    ),
    "delivery": (
        "The parcel for order {order} to {town} came {n} days late.",
        "Order {order} was left with a neighbour in {town}, {n} streets away.",
        "I have waited {n} weeks in {town} for order {order} to arrive.",
    ),
    "product": (
        "The kettle of order {order} broke after {n} days.",
        "Of the {n} cups in order {order}, half have cracks.",
        "The lamp from order {order} that I use in {town} hums, {n} hours a day.",
    ),
    "service": (
        "Nobody in {town} answered my {n} calls about order {order}.",
        "The clerk in {town} was rude when I asked about order {order} for the {n}th time.",
        "I was put on hold for {n} minutes and nobody knew of order {order}.",
    ),
}
_TOWNS = ("Velmar", "Dravol", "Ostrim", "Tarn", "Kessin", "Morvel", "Harnest", "Plovik")
LABELS = tuple(_COMPLAINTS)


@dataclass(frozen=True, slots=True)
class Items:
    """Three sets of items, and the label of each by its text. There are no passages to search."""

    demonstrations: tuple[LabelledQuestion, ...]
    train: tuple[LabelledQuestion, ...]
    evaluation: tuple[LabelledQuestion, ...]
    plans: Mapping[str, str]
    passages: tuple[Passage, ...] | None = None


def build_items(seed: int, *, demonstrations: int, train: int, evaluation: int) -> Items:
    """Builds sets with these sizes; the classes alternate."""
    rng = Random(seed)
    sizes = {"demo": demonstrations, "train": train, "eval": evaluation}
    orders = iter(rng.sample(range(1000, 1_000_000), sum(sizes.values())))
    sets = {
        name: tuple(_item(f"{name}-{i:03}", LABELS[i % len(LABELS)], next(orders), rng) for i in range(size))
        for name, size in sizes.items()
    }
    plans = {item.question.text: item.answers[0] for items in sets.values() for item in items}
    return Items(sets["demo"], sets["train"], sets["eval"], plans)


def _item(id_: str, label: str, order: int, rng: Random) -> LabelledQuestion:
    text = rng.choice(_COMPLAINTS[label]).format(order=order, town=rng.choice(_TOWNS), n=rng.randint(4, 9))
    return LabelledQuestion(Question(id_, text), (label,), kind=label)

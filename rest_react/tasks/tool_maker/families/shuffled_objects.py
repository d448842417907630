"""Tracking shuffled objects: five people hold five things and swap them in pairs; who holds what at the end?

    "Ada has the drum, Bo has the flute, ... First, Ada and Bo swap. ... What does Ada have at the end?"

Not here: the checker's comparison (problem).
"""

from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, labelled, listed, literal, option_key, options

FUNCTION = '''\
def after_swaps(holds, swaps, person):
    """What a person holds after all swaps. `holds` maps each person to a thing; a swap is a pair of people."""
    now = dict(holds)
    for one, other in swaps:
        now[one], now[other] = now[other], now[one]
    return now[person]
'''
_PEOPLE = "Ada Bo Carla Dov Elin Finn Gita Hugo Ines Jonas".split()
_THINGS = "drum flute kite map lantern scarf clock mirror basket whistle".split()
_WORDS = ("First", "Then", "After that", "Next")


def make(rng: Random) -> Problem:
    """Five people, three to six swaps."""
    people, things = rng.sample(_PEOPLE, 5), rng.sample(_THINGS, 5)
    holds = dict(zip(people, things, strict=True))
    swaps = [rng.sample(people, 2) for _ in range(rng.randint(3, 6))]
    now = dict(holds)
    for one, other in swaps:
        now[one], now[other] = now[other], now[one]
    person = rng.choice(people)
    steps = [f"{_WORDS[min(i, 3)]}, {one} and {other} swap." for i, (one, other) in enumerate(swaps)]
    start = listed([f"{who} has the {what}" for who, what in holds.items()])
    text = f"At the start, {start}. {' '.join(steps)} What does {person} have at the end?\n{options(things)}"
    call = f"answer = after_swaps({literal(holds)}, {literal(swaps)}, {literal(person)})"
    right = now[person]
    return Problem(text, (*labelled(things, right), f"the {right}"), call)


FAMILY = Family("shuffled_objects", make, option_key, FUNCTION)

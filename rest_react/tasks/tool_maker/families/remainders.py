"""Chinese remainder theorem: a number below a limit with given remainders.

    "A basket holds at most 200 nuts. Counted in threes, 2 are left over; ... How many nuts can there be?"

Each number up to the limit that leaves these remainders is a right answer.
Not here: the checker's comparison (problem).
"""

import re
from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, literal, whole_float

FUNCTION = '''\
def number_with_remainders(limit, remainders):
    """The smallest number from 1 to the limit that leaves these remainders. `remainders` is a list of pairs
    [divisor, remainder]."""
    for number in range(1, limit + 1):
        if all(number % divisor == remainder for divisor, remainder in remainders):
            return number
    return None
'''
_DIVISORS = (3, 5, 7, 8, 11, 13)
_THINGS = "nuts coins beads stones apples".split()
_HOLDERS = "basket bag crate jar".split()
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def make(rng: Random) -> Problem:
    """Three divisors, and a limit below which there are one to three right answers."""
    divisors = rng.sample(_DIVISORS, 3)
    product = divisors[0] * divisors[1] * divisors[2]
    smallest = rng.randint(1, product)
    limit = smallest + rng.randint(0, 2 * product)
    remainders = [[divisor, smallest % divisor] for divisor in divisors]
    things, holder = rng.choice(_THINGS), rng.choice(_HOLDERS)
    said = "; ".join(f"in groups of {divisor}, {remainder} are left over" for divisor, remainder in remainders)
    text = f"A {holder} holds at least 1 and at most {limit} {things}. Counted {said}. How many {things} can there be?"
    answers = tuple(str(number) for number in range(smallest, limit + 1, product))
    return Problem(text, answers, f"answer = number_with_remainders({limit}, {literal(remainders)})")


def _key(text: str) -> str:
    """The number; of a sentence, its only number. 16.0 is 16."""
    numbers = [whole_float(number) for number in _NUMBER.findall(text.replace(",", ""))]
    # No right answer has more than ten digits, and Python converts no text of 4,300.
    found = len(numbers) == 1 and len(numbers[0]) < 20 and "." not in numbers[0]
    return str(int(numbers[0])) if found else f"x{text}"


FAMILY = Family("remainders", make, _key, FUNCTION)

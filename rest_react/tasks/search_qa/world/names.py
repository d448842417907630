"""Invented names, each used once, and names that resemble another.

    names.fresh(rng, "person")      # "Imra Tesken"
    names.near(rng, velmar)         # "Velmare"

Not here: what is known of a name (world.entities).
"""

from random import Random

from rest_react.tasks.search_qa.world.entities import Entity
from rest_react.tasks.search_qa.world.kinds import KINDS

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


class Names:
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

    def near(self, rng: Random, entity: Entity) -> str:
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
        return KINDS[kind].name.format(word=word, first=first, thing=thing, trade=trade)

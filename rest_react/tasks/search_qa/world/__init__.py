"""The built-in closed world: invented entities, short passages about them, and questions of 2 or 3 hops.

Six kinds of entity (book, bridge, festival, company, town, person) each have the same four facts: a person, a town, a
year and a count. A passage states three of one entity in one of several forms; a question follows them:

    The Lantern of Dravol -- person --> Imra Tesken -- town --> Velmar -- year --> 1874
    "In which year was the birthplace of the author of The Lantern of Dravol founded?"        (kind date, 3 hops)

Comparison and yes/no questions follow the same path from two entities. Three questions in four are plain chains of
nouns ("What is the founding year of the birthplace of the author of ...?"), the others are put as people put them.
Every question has entities of its own, so the demonstrations, the training and the evaluation questions share none; the
demonstrations show two kinds of question out of five, of two hops and a few relations. After each lookup their expert
asks again what is left ("Now: In which year was Velmar founded?"). Nothing here exists, so nothing a model has read
before helps it.

Not here: searching the passages, and following the plans (scripted).
"""

from rest_react.tasks.search_qa.world.generate import World, build_world
from rest_react.tasks.search_qa.world.world_settings import Relation, WorldQuestions, WorldSettings, relations

__all__ = ["Relation", "World", "WorldQuestions", "WorldSettings", "build_world", "relations"]

"""Opens the parts of a run from its settings: question sets, benchmarks, prompts, clients, judges, task, trainer,
tracker.

    parts = Parts(settings, folder)
    task = parts.task(parts.question_sets.grown().passages)
    policy = parts.policy(parts.llm(model), samples=4, temperature=0.8, tuned=model.tuned)

The settings of a part open it (`settings.search.open(...)`), so a new client is one file with its settings and its
class, and a name in the union of its package. Clients load and connect at their first call, so opening is cheap.
Not here: the order of the stages (loop).
"""

from rest_react.build.parts import Parts
from rest_react.build.question_sets import QuestionSet, QuestionSets

__all__ = ["Parts", "QuestionSet", "QuestionSets"]

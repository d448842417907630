"""Fake language models of the search agent: `ScriptedLLM` follows plans and errs, `RecordedLLM` repeats recorded texts.

The policy is scripted_llm; expert has the right action in a state, mistakes the errors, chain_plans the plans for
questions of a user. Not here: plans for questions of the built-in world (tasks.search_qa.world).
"""

from rest_react.tasks.search_qa.scripted.recorded_llm import RecordedLLM
from rest_react.tasks.search_qa.scripted.scripted_llm import ScriptedLLM, ScriptedModel

__all__ = ["RecordedLLM", "ScriptedLLM", "ScriptedModel"]

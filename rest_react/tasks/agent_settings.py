"""The settings group `agent`: how tasks sample their rollouts, and the limits of the search agent.

    settings.agent.max_tokens        # agent.max_tokens=128

Not here: the number of samples per step (grow.samples, evaluate.samples).
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rest_react.selection.selectors import Select
from rest_react.setting_types import Count, NotNegative

Exemplars: TypeAlias = Literal["untuned", "always", "never"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The Search Agent's rules (paper sections 2 and 3)."""

    max_searches: Count  # per question; then the agent must answer
    hits_per_search: Count  # results that each search shows
    read_pages: NotNegative  # of so many results the page is read, and its text shown instead of the snippet
    page_characters: Count  # of a page's text that are shown
    # which sample continues the rollout: the one with the lowest perplexity that violates no rule (built-in world
    # only), the one with the lowest perplexity, the most frequent, or the first
    select: Select
    # whether Terminate is refused before the first search; if all samples terminate, the question itself is the query
    search_first: bool
    max_tokens: Count  # of one sample
    self_checks: bool  # whether the agent checks the relevance and the grounding of its answer
    on_failed_check: Literal["revise", "research"]  # revise: write a new answer; research: search again
    max_research_rounds: NotNegative  # with research: how often a failed check may lead to more searches
    prompts: str | None  # a folder of your own prompt files; null: the packaged ones
    exemplars: Exemplars  # which policies are shown the few-shot exemplars


def shows_exemplars(exemplars: Exemplars, *, tuned: bool) -> bool:
    """Whether a model that is tuned for the task, or one that is not, is shown the instructions and exemplars."""
    return exemplars == "always" or (exemplars == "untuned" and not tuned)

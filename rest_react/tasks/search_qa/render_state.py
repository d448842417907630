"""Renders the state of each step as text.

A state is a few Python assignments. It ends with the name of the step, where the model continues. For the
decision after one search:

    ORIGINAL_QUESTION = "Who founded the town where Ada Mell was born?"
    PAST_ACTIONS = [
        Search(query="birthplace of Ada Mell", thoughts="..."),
        SelectLink(selected_links=[ResultItem(link_id=1, ...)], grounded_summarization="...", thoughts="..."),
    ]
    REMAINING_SEARCHES = 4
    ORIGINAL_QUESTION = "Who founded the town where Ada Mell was born?"

    # step: decision

The question comes first and PAST_ACTIONS only grows, so the steps of a trajectory share their prefix in an engine's
cache.
Not here: what goes into the state (memory), the prompts around it (prompt_files), and reading output (parsing).
"""

from collections.abc import Mapping, Sequence

from rest_react.tasks.search_qa.actions import PastAction, ResultItem, StepKind, render_item, render_past
from rest_react.text_safety.escaping import quote

STEP_NAMES: Mapping[StepKind, str] = {
    "decide": "decision",
    "summarise": "summary",
    "answer": "answer",
    "relevance": "relevance check",
    "grounding": "grounding check",
}


def render_state(
    kind: StepKind,
    question: str,
    past: Sequence[PastAction],
    *,
    remaining: int | None = None,
    results: Sequence[ResultItem] = (),
    answer: str | None = None,
) -> str:
    """The state of one step (paper, listings 1 to 6): fields in the paper's order, the question repeated right
    before the output. `remaining` belongs to decide, `results` to summarise, `answer` (the current text; PAST_ACTIONS
    keeps the draft) to the two checks."""
    asked = f"ORIGINAL_QUESTION = {quote(question)}\n"
    entries = "".join(f"    {render_past(action)},\n" for action in past)
    text = asked + (f"PAST_ACTIONS = [\n{entries}]\n" if past else "PAST_ACTIONS = []\n")
    if kind == "decide":
        text += f"REMAINING_SEARCHES = {remaining}\n"
    if kind == "summarise":
        items = "".join(f"    {render_item(item)},\n" for item in results)
        links = f"[\n{items}]" if results else "[]"
        text += f"CURRENT_SEARCH_RESULTS = SearchResult(links={links})\n"
    text += asked
    if answer is not None:
        text += f"ANSWER = {quote(answer)}\n"
    return f"{text}\n# step: {STEP_NAMES[kind]}\n"

"""Plausible errors of a policy: a wrong action, an empty element, a text that cannot be parsed.

    wrong_action(state, plan, right, rng)       # Search("birthplace of it", "Perhaps this finds it.")

Not here: how often each occurs (scripted.scripted_llm).
"""

from dataclasses import replace
from random import Random

from rest_react.records import Hop, Plan
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
)
from rest_react.tasks.search_qa.scripted.expert import citations, one_line
from rest_react.tasks.search_qa.scripted.parse_state import ParsedState


def wrong_action(state: ParsedState, plan: Plan, right: Action, rng: Random) -> Action:
    """A plausible error with the same kind of call; never the right action."""
    match right:
        case Search(query):
            vague = vague_query(next((hop for hop in plan.hops if hop.query == query), plan.hops[0]))
            return rng.choice((Search(vague, "Perhaps this finds it."), Terminate("I think I know enough.")))
        case Terminate():
            return Search(f"more about {plan.hops[0].query}", "I had better make sure.")
        case LinkSelection(selected_link_ids=ids):
            others = [item for item in state.results if item.link_id not in ids]
            if others and (not ids or rng.random() < 0.5):
                item = rng.choice(others)
                summary = f"It is {one_line(item.link_text) or 'there'} [link_id={item.link_id}]."
                return LinkSelection(summary, "This looks right.", (item.link_id,))
            return LinkSelection("None of this seems to help.", "I try something else.", ())
        case Answer():
            return Answer("I answer as I remember it.", _wrong_answer(state, plan))
        case CheckAnswer():
            revised = ReviseAnswer(_wrong_answer(state, plan), ("The answer looks wrong to me.",))
            return rng.choice((revised, CheckAnswer(False, ("I am not convinced by the answer.",))))
        case ReviseAnswer():
            return CheckAnswer(True, ("The answer looks fine to me.",))


def _wrong_answer(state: ParsedState, plan: Plan) -> str:
    """A wrong answer: the opposite, or a name from an earlier hop."""
    cites = citations(state.selected.values())
    for said, opposite in (("Yes,", "No, they differ"), ("No,", "Yes, they are the same")):
        if plan.answer.startswith(said):
            return f"{opposite}{cites}."
    unsaid = [hop.title for hop in plan.hops if hop.title and hop.title not in plan.answer]
    return f"It is {one_line((unsaid or [plan.hops[0].title])[-1]) or 'unknown'}{cites}."


def vague_query(hop: Hop) -> str:
    """The query of a hop without the name that it needs."""
    vague = " ".join(hop.query.replace(hop.title, "it").split()) if hop.title else hop.query
    return vague if vague != hop.query else "more about it"


def emptied(right: Action) -> Action:
    """The right action without its thoughts or comments."""
    match right:
        case CheckAnswer() | ReviseAnswer():
            return replace(right, comments=())
        case _:
            return replace(right, thoughts="")


def unparsable_text(text: str, rng: Random) -> str:
    """Prose instead of a call, or a text that ends before its call."""
    prose = "Let me think about what is known so far and what should be done next."
    head = text.partition("ACTION_SELECTED = ")
    return rng.choice((prose, f"{head[0]}{head[1]}{head[2][: rng.randrange(1, 5)]}"))

"""The right action in a state, by the question's plan.

    right_action(state, plan)       # Search("birthplace of Imra Tesken", "I need the birthplace.")

A question without a plan is searched for as it stands and answered with the first hit.
Not here: plans (tasks.search_qa.world, scripted.chain_plans), and errors (scripted.mistakes).
"""

import re
from collections.abc import Iterable

from rest_react.records import Hop, Plan
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
)
from rest_react.tasks.search_qa.memory import NOTHING_SELECTED
from rest_react.tasks.search_qa.scripted.parse_state import ParsedState
from rest_react.text_safety.escaping import escape_control_tokens

_LATIN = "[a-z0-9\u00c0-\u024f]"
CITATION = re.compile(r"\s*\[link_id=\d+\]")


def right_action(state: ParsedState, plan: Plan) -> Action:
    """The correct action in this state."""
    match state.kind:
        case "decide":
            return _decide(state, plan)
        case "summarise":
            return _summarise(state, plan)
        case "answer":
            return right_answer(state, plan)
        case "relevance":
            return _check_relevance(state, plan)
        case "grounding":
            return _check_grounding(state, plan)


def improvised_plan(state: ParsedState) -> Plan:
    """A plan for a question without one: search for its text, and answer with the first hit."""
    items = [item for action in state.past if isinstance(action, SelectLink) for item in action.selected_links]
    first = next(iter((*items, *state.results)), ResultItem(0, "", ""))
    finding = one_line(first.snippet[:300]) or one_line(first.link_text) or "This link says nothing."
    hop = Hop(one_line(state.question) or "question", "I search for the question itself.", first.link_text, finding)
    return Plan(state.question, (hop,), "I found something, so I can answer.", f"{finding} {{0}}")


def next_hop(state: ParsedState, plan: Plan) -> Hop | None:
    """The first hop whose search is neither done nor without result."""
    if state.remaining == 0:
        return None
    open_hops = (hop for hop in plan.hops if _link(state, hop) is None and hop.query not in state.queries)
    return next(open_hops, None)


def _link(state: ParsedState, hop: Hop) -> int | None:
    return state.selected.get(escape_control_tokens(hop.title))


def _decide(state: ParsedState, plan: Plan) -> Search | Terminate:
    hop = next_hop(state, plan)
    if hop is None:
        complete = all(_link(state, hop) is not None for hop in plan.hops)
        return Terminate(plan.thoughts if complete else "More searches will not help, so I stop.")
    return Search(hop.query, "That found nothing, so I ask precisely." if state.came_up_empty else hop.thoughts)


def _summarise(state: ParsedState, plan: Plan) -> LinkSelection:
    """Selects the gold links that are not selected yet, one per hop."""
    wanted = [hop for hop in plan.hops if _link(state, hop) is None]
    chosen = {link: hop for hop in wanted if (link := _shown(state, hop)) is not None}
    comments = tuple(
        f"Not selected [link_id={item.link_id}]: it is {one_line(item.link_text)}."
        for item in state.results
        if plan.tells_rejected and item.link_id not in chosen
    )
    if not chosen:
        return LinkSelection(NOTHING_SELECTED, "No link helps, so I need another query.", (), comments)
    summary = " ".join(f"{hop.finding.removesuffix('.')} [link_id={link}]." for link, hop in chosen.items())
    return LinkSelection(summary, "I keep this link.", tuple(chosen), comments)


def _shown(state: ParsedState, hop: Hop) -> int | None:
    """The first result with the hop's title that states its values: an engine may have several texts of a title."""
    title = escape_control_tokens(hop.title)
    of_title = (item for item in state.results if item.link_text == title)
    return next((item.link_id for item in of_title if states(item.snippet, hop.values)), None)


def states(text: str, values: Iterable[str]) -> bool:
    """Whether the text has every value, not as a part of a longer Latin word or number ("Ali" in "Alice")."""
    shown = one_line(text)
    return all(
        re.search(rf"(?<!{_LATIN}){re.escape(one_line(value))}(?!{_LATIN})", shown, re.IGNORECASE) for value in values
    )


def right_answer(state: ParsedState, plan: Plan) -> Answer:
    """The answer of the plan with the ids of its links, or that facts are missing."""
    links = [_link(state, hop) for hop in plan.hops]
    if None in links:
        found = citations(link for link in links if link is not None)
        return Answer("Some facts are missing, and I say so.", f"The links found{found} do not settle this question.")
    text = plan.answer
    for i, link in enumerate(links):
        text = text.replace(f"{{{i}}}", f"[link_id={link}]")
    return Answer(plan.thoughts, text)


def _check_relevance(state: ParsedState, plan: Plan) -> CheckAnswer | ReviseAnswer:
    """Checks whether the answer fits the question; the grounding check covers citations."""
    expected = right_answer(state, plan).answer
    if CITATION.sub("", state.answer) == CITATION.sub("", expected):
        return CheckAnswer(True, ("The answer says what the question asks for.",))
    return ReviseAnswer(expected, ("The answer does not say what the question asks for.",))


def _check_grounding(state: ParsedState, plan: Plan) -> CheckAnswer | ReviseAnswer:
    """Checks whether every claim cites a selected link."""
    expected = right_answer(state, plan).answer
    if state.answer != expected:
        return ReviseAnswer(expected, ("The answer does not cite the links that support it.",))
    cited = [link for hop in plan.hops if (link := _link(state, hop)) is not None]
    supports = tuple(f"[link_id={link}] supports its claim." for link in cited)
    return CheckAnswer(True, supports or ("The answer claims nothing.",))


def citations(links: Iterable[int]) -> str:
    """The citations of an answer, each after a space."""
    return "".join(f" [link_id={link}]" for link in links)


def one_line(text: str) -> str:
    """Untrusted text as one line, safe in a comment."""
    return escape_control_tokens(" ".join(text.split()))

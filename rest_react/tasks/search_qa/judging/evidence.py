"""The evidence of a trajectory of the search agent: its answer in short, its queries, and the results it selected.

    evidence_of(trajectory)       # Evidence("Where was ...?", "Her teacher ...", "Vell", queries=(...), selected=(...))

Not here: what is concluded from it (selection.trajectory_signals), the answer in short (short_answer).
"""

from rest_react.metrics.text_match import cited_links
from rest_react.records import Hit
from rest_react.tasks.search_qa.actions import LinkSelection, Search, decision_of
from rest_react.tasks.search_qa.judging.short_answer import short_answer
from rest_react.trajectories.parsed import Evidence, ParsedStep, ParsedTrajectory


def evidence_of(trajectory: ParsedTrajectory) -> Evidence:
    """The evidence of a trajectory. Each result counts once, however often it was found; two texts of one source are
    two results."""
    queries: list[str] = []
    selected: dict[Hit, None] = {}
    retrieved: dict[Hit, None] = {}
    cited: dict[int, Hit] = {}
    links = cited_links(trajectory.trajectory.answer)
    for parsed in trajectory.steps:
        hits = dict(enumerate(parsed.step.hits, start=parsed.step.first_link))
        retrieved |= dict.fromkeys(hits.values())
        cited |= {i: hit for i, hit in hits.items() if i in links}
        match parsed.chosen.action if parsed.chosen else None:
            case Search(query=query):
                queries.append(query)
            case LinkSelection(selected_link_ids=ids):
                selected |= dict.fromkeys(hits[i] for i in ids if i in hits)
    whole = trajectory.trajectory
    return Evidence(
        whole.question,
        whole.answer,
        short_answer(whole.question, whole.answer),
        tuple(queries),
        tuple(selected),
        tuple(retrieved),
        tuple(cited.items()),
    )


def passages_selected(found: Evidence) -> int:
    """How many different passages a trajectory selected: two texts of one source are one."""
    return len({hit.source for hit in found.selected})


def gathering_of(step: ParsedStep) -> tuple[str, ...]:
    """For each candidate a key of what it gathers: a query, or results selected from these results; empty for none."""
    sources = {i: hit.source for i, hit in enumerate(step.step.hits, start=step.step.first_link)}
    shown = " ".join(sorted(sources.values()))
    keys = []
    for parsed in step.actions:
        match parsed.action:
            case Search() as search:
                keys.append(decision_of(search))
            case LinkSelection(selected_link_ids=ids):
                keys.append(f"select {' '.join(sorted(sources[i] for i in ids if i in sources))} of {shown}")
            case _:
                keys.append("")
    return tuple(keys)

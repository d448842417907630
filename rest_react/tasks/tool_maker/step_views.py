"""How the steps of this task are shown on the page and by `ask`: the code, and its result.

    step_view(parsed).title          # "Use the tool"

Not here: how a part is displayed (reporting/templates/conversation.js).
"""

from collections.abc import Iterator

from rest_react.tasks.tool_maker.replies.calls import code_of, read_call
from rest_react.trajectories.parsed import ParsedStep
from rest_react.trajectories.step_view import Part, StepView

ANSWER, PROBLEM = "answer", "problem"  # titles of the hits that say what the result of a call is
_LONGEST = 100
_TITLES = {
    "propose": "Propose a function", "verify": "Verify it by calls", "dispatch": "Choose a tool",
    "use": "Use the tool", "alone": "Answer alone",
}  # fmt: skip


def step_view(parsed: ParsedStep) -> StepView:
    """The view of a step: the chosen sample, or the first if none could be used."""
    step = parsed.step
    index = step.chosen or 0
    text = step.candidates[index].text if step.candidates else ""
    problem = parsed.actions[index].problem if parsed.actions else "no sample"
    parts = tuple(_parts(parsed, text, problem))
    said = "; ".join(part.text for part in parts if part.kind == "verdict")
    first = " ".join(text.split())[:160]
    return StepView(_TITLES[step.kind], parts, (f"writes    {first}", *((f"result    {said}",) if said else ())))


def _parts(parsed: ParsedStep, text: str, problem: str) -> Iterator[Part]:
    kind, hits = parsed.step.kind, parsed.step.hits
    if kind == "dispatch" and parsed.chosen is not None:
        yield Part("line", parsed.chosen.action, label="takes")
        return
    yield Part("code", code_of(text).strip() or text) if kind in ("propose", "verify", "use") else Part("quote", text)
    answers = {hit.source: hit.snippet for hit in hits if hit.title == ANSWER}
    if kind == "use" and (answer := answers.get(read_call(text).text)):
        yield Part("verdict", answer, label="is the answer of the code")
    if kind == "verify":
        for code, answer in answers.items():
            yield Part("line", answer, label=f"{_short(code)} gives")
    if problem:
        yield Part("verdict", problem, good=False)
    elif kind in ("propose", "verify"):
        yield Part("verdict", "defined" if kind == "propose" else "all calls are right")


def _short(code: str) -> str:
    """Code on one line, as much of it as a reader needs to recognise it."""
    line = " ".join(code.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"

"""The states of the steps: what the maker, the dispatcher and the user are shown.

    use_state(wrapper, "Puzzle 7. Sort these words ...: pear, fig")

    def sorted_words(words):
        The words in alphabetical order.

    QUESTION = "Puzzle 3. Sort these words ...: plum, fig"

    # step: call
    answer = sorted_words(['plum', 'fig'])  # [END]

    QUESTION = "Puzzle 7. Sort these words ...: pear, fig"

    # step: call

Not here: the instructions before a state (prompts/), and reading what the model writes (replies).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from rest_react.prompts import STOP
from rest_react.records import LabelledQuestion
from rest_react.text_safety.escaping import escape_control_tokens, quote

STEP_NAMES: Mapping[str, str] = {
    "propose": "function", "verify": "calls", "dispatch": "tool", "use": "call", "alone": "answer",
}  # fmt: skip
CLOSINGS: Mapping[str, str] = {
    "propose": "Now write the function.",
    "verify": "Now write the calls.",
    "dispatch": "Now write the name of the tool, or none.",
    "use": "Now write the call.",
    "alone": "Now write the solution, and on its last line the answer behind `Answer:`.",
}
NONE = "none"  # what the dispatcher writes if no tool fits
_ANSWER = re.compile(r"^ANSWER_\d+ = .*\n", re.MULTILINE)


def propose_state(examples: Sequence[LabelledQuestion], earlier: str = "", problem: str = "") -> str:
    """Solved questions, and what was wrong with the function before."""
    texts: dict[str, str] = {}
    for number, example in enumerate(examples, start=1):
        texts |= {f"QUESTION_{number}": example.question.text, f"ANSWER_{number}": example.answers[0]}
    return _state("propose", texts | _repair(earlier, problem))


def without_answers(state: str) -> str:
    """A state of `propose_state` without the answers to its questions."""
    return _ANSWER.sub("", state)


def verify_state(function: str, examples: Sequence[LabelledQuestion], earlier: str = "", problem: str = "") -> str:
    """The function and questions to call it for. Their answers are not shown: a call must not be able to copy them."""
    texts = {"FUNCTION": function}
    texts |= {f"QUESTION_{number}": example.question.text for number, example in enumerate(examples, start=1)}
    return _state("verify", texts | _repair(earlier, problem))


def wrapper(summary: str, calls: Iterable[tuple[str, str]]) -> str:
    """The text of a tool: its head, its documentation, and verified calls (question, code)."""
    shown = [f"{_state('use', {'QUESTION': text})}{escape_control_tokens(call)}  {STOP}\n" for text, call in calls]
    return "\n".join([f"{escape_control_tokens(summary)}\n", *shown])


def use_state(tool: str, question: str) -> str:
    """The text of the tool, then a new question in the form of its examples."""
    return f"{tool}\n{_state('use', {'QUESTION': question})}"


def documentation_in(state: str) -> str:
    """The head and the documentation of the tool in a state of `use_state`."""
    return state.partition("\nQUESTION = ")[0]


def dispatch_state(tools: Mapping[str, str], question: str) -> str:
    """The names of the known tools, each with its head and documentation, and the question."""
    listed = {"TOOLS": "\n".join(f"{name}: {' '.join(summary.split())}" for name, summary in tools.items())}
    return _state("dispatch", listed | {"QUESTION": question})


def alone_state(question: str) -> str:
    """The question alone."""
    return _state("alone", {"QUESTION": question})


def _repair(earlier: str, problem: str) -> dict[str, str]:
    return {"EARLIER": earlier, "PROBLEM": problem} if problem else {}


def _state(kind: str, texts: Mapping[str, str]) -> str:
    given = "".join(f"{name} = {quote(escape_control_tokens(text))}\n" for name, text in texts.items())
    return f"{given}\n# step: {STEP_NAMES[kind]}\n"

"""State in, text out: renders every step's state, and reads the prompt files.

A state is a few Python assignments, ends by naming its call, and stops right where the model must go on. For the
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
cache. A prompt file holds the instructions, then exemplars between `# Example N:` rules, each a state and its
completion. A base model reads it to the letter, closing rule included (which may be left out in the file). A chat
model gets the instructions as system turn, the exemplars as user and assistant turns, and last what it is to write.
`{hits_per_search}` and `{max_searches}` in the instructions stand for the settings of that name.
Not here: choosing what goes into the state (agent), tokens and chat templates (the doors), reading output (parsing).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rest_react.errors import ConfigError
from rest_react.records import STEP_KINDS, Example, Prompt, StepKind
from rest_react.tasks.search_qa.actions import PastAction, ResultItem, render_item, render_past
from rest_react.tasks.search_qa.parsing import parse
from rest_react.text_safety import quote

STOP = "# [END]"
STEP_NAMES: Mapping[StepKind, str] = {
    "decide": "decision",
    "summarise": "summary",
    "answer": "answer",
    "relevance": "relevance check",
    "grounding": "grounding check",
}
# What a chat model is told behind the state. It names no call with a bracket behind it and holds no end mark to the
# letter: a model that repeats its input would be stopped there.
CLOSINGS: Mapping[StepKind, str] = {
    "decide": "Now write the decision: one line, ACTION_SELECTED = and one call of ActionWrapper.",
    "summarise": "Now write the summary: a comment line for each rejected link, then one line, ACTION_SELECTED = and "
    "one call of LinkSelection.",
    "answer": "Now write the answer: one line, ACTION_SELECTED = and one call of Answer.",
    "relevance": "Now write the relevance check: comment lines that judge ANSWER, then one line, ACTION_SELECTED = and "
    "one call of Check_Answer or Revise_Answer.",
    "grounding": "Now write the grounding check: comment lines that compare ANSWER with the links, then one line, "
    "ACTION_SELECTED = and one call of Check_Answer or Revise_Answer.",
}
_VERDICT = (
    "Now write the verdict: comment lines with the reason, then one line that sets Check_Answer to True or False."
)
_FORM = "End it with the end mark, [END] behind a # sign. Write no code fence and no other text, and repeat nothing."
_EXAMPLE = re.compile(r"^#{25}\n# Example \d+:\n#{25}\n", re.MULTILINE)
_MARKER = re.compile(r"^# step: (.+)\n", re.MULTILINE)
PACKAGED_PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One few-shot example: a state as `render_state` writes it, and the completion."""

    state: str
    completion: str


@dataclass(frozen=True, slots=True)
class StepPrompt:
    """The prompt of one kind of call."""

    instructions: str
    exemplars: tuple[Exemplar, ...]

    @property
    def prefix(self) -> str:
        """Instructions and exemplars as one text, closed by the rule that opens the example to be completed."""
        return self.prompt("").text

    def prompt(self, state: str, closing: str = "") -> Prompt:
        """The prompt that asks for this state's completion."""
        shown = tuple((exemplar.state, exemplar.completion) for exemplar in self.exemplars)
        return Prompt(f"{self.instructions}\n", state, shown, closing)


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


def prompt_for(kind: StepKind, state: str, prompts: Mapping[StepKind, StepPrompt] | None) -> Prompt:
    """The prompt of a step: with instructions, exemplars and a closing line for an untuned model, the bare state for a
    tuned one."""
    if not prompts:
        return Prompt(prefix="", state=state)
    return prompts[kind].prompt(state, f"\n{CLOSINGS[kind]} {_FORM}\n")


def verdict_prompt(template: str, state: str) -> Prompt:
    """The prompt of an LLM grader from a template like prompts/autoeval.txt: in turns where its examples have a step
    line, else as it is."""
    instructions, *examples = _EXAMPLE.split(f"{template.rstrip()}\n")
    pairs = [
        (example[: mark.end()], example[mark.end() :].strip())
        for example in examples[:-1]
        if (mark := _MARKER.search(example))
    ]
    closing = f"\n{_VERDICT} {_FORM}\n"
    if len(pairs) < len(examples) - 1 or (examples and examples[-1].strip()):
        return Prompt(f"{template.rstrip()}\n", state, closing=closing)
    return Prompt(instructions, state, tuple(pairs), closing)


def with_numbers(
    prompts: Mapping[StepKind, StepPrompt], *, hits_per_search: int, max_searches: int
) -> dict[StepKind, StepPrompt]:
    """The prompts with the settings' numbers in their instructions."""
    numbers = {"{hits_per_search}": str(hits_per_search), "{max_searches}": str(max_searches)}

    def filled(text: str) -> str:
        for mark, number in numbers.items():
            text = text.replace(mark, number)
        return text

    return {kind: replace(prompt, instructions=filled(prompt.instructions)) for kind, prompt in prompts.items()}


def load_prompts(folder: Path = PACKAGED_PROMPTS) -> dict[StepKind, StepPrompt]:
    """Reads `<kind>.txt` for the five kinds of call. Raises ConfigError naming every file that is missing or odd."""
    prompts: dict[StepKind, StepPrompt] = {}
    problems = []
    for kind in STEP_KINDS:
        path = folder / f"{kind}.txt"
        try:
            prompts[kind] = _read_prompt(path.read_text(encoding="utf-8"), kind)
        except OSError as error:
            problems.append(f"agent.prompts: cannot read {path} ({error.strerror}); it needs one file per kind of call")
        except ValueError as error:
            problems.append(f"agent.prompts: {path}: {error}")
    if problems:
        raise ConfigError(problems)
    return prompts


def exemplar_rows(prompts: Mapping[StepKind, StepPrompt]) -> list[Example]:
    """The prompts' exemplars as training rows, each without its end mark."""
    return [
        Example(
            id=f"exemplar.{kind}.{i}",
            trajectory_id=f"exemplar.{kind}",
            step_index=i,
            kind=kind,
            prompt=shown.state,
            completion=shown.completion.rsplit(STOP, 1)[0].rstrip(),
            selector="exemplar",
        )
        for kind in STEP_KINDS
        for i, shown in enumerate(prompts[kind].exemplars)
    ]


def _read_prompt(text: str, kind: StepKind) -> StepPrompt:
    instructions, *examples = _EXAMPLE.split(text)
    if not instructions.strip():
        raise ValueError("it has no instructions before its first example")
    exemplars = []
    for number, example in enumerate(examples, start=1):
        if number == len(examples) and not example.strip():
            break  # the closing rule, which opens the example that the model completes
        marker = _MARKER.search(example)
        if marker is None or marker[1] != STEP_NAMES[kind]:
            raise ValueError(f"example {number} lacks the line '# step: {STEP_NAMES[kind]}' before its output")
        completion = example[marker.end() :].strip()
        if not completion.endswith(STOP):
            raise ValueError(f"example {number} does not end with '{STOP}'")
        if problem := parse(kind, completion).problem:
            raise ValueError(f"example {number} would teach an unusable output: {problem}")
        exemplars.append(Exemplar(example[: marker.end()], completion))
    return StepPrompt(instructions.strip() + "\n", tuple(exemplars))


def prompts_hash(prompts: Mapping[StepKind, StepPrompt], judges: Sequence[str]) -> str:
    """Names the exact text of the steps' prompts and the judges'; stored with the run."""
    text = "\x1f".join([*(prompts[kind].prefix for kind in STEP_KINDS), *CLOSINGS.values(), _VERDICT, _FORM, *judges])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

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
completion; it is the model's prefix to the letter, closing rule included (which may be left out).
Not here: choosing what goes into the state (agent), tokens and chat templates (the doors), reading output (parsing).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rest_react.actions import PastAction, ResultItem, quote, render_item, render_past
from rest_react.errors import ConfigError
from rest_react.parsing import parse
from rest_react.records import STEP_KINDS, Example, Prompt, StepKind

STOP = "# [END]"
STEP_NAMES: Mapping[StepKind, str] = {
    "decide": "decision",
    "summarise": "summary",
    "answer": "answer",
    "relevance": "relevance check",
    "grounding": "grounding check",
}
_RULE = "#" * 25
_EXAMPLE = re.compile(rf"^{_RULE}\n# Example \d+:\n{_RULE}\n", re.MULTILINE)
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
        examples = [f"{exemplar.state}{exemplar.completion}\n\n" for exemplar in self.exemplars]
        blocks = [f"{_RULE}\n# Example {i}:\n{_RULE}\n{text}" for i, text in enumerate([*examples, ""], start=1)]
        return f"{self.instructions}\n" + "".join(blocks)


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
    """The prompt of a step: with instructions and exemplars for an untuned model, the bare state for a tuned one."""
    return Prompt(prefix=prompts[kind].prefix if prompts else "", state=state)


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
    text = "\x1f".join([*(prompts[kind].prefix for kind in STEP_KINDS), *judges])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

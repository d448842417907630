"""Prompt files: instructions, then exemplars between `# Example N:` rules, each a state and its completion.

    prompt = read_prompt(text, "decision", check)         # of prompts/decide.txt
    prompt.prompt(state, closing("Now write the decision: ..."))     # what a model is asked

A state ends with the line `# step: <name>`, where the model must go on; a completion ends with `# [END]`. A base model
reads the file to the letter, closing rule included (which may be left out in the file). A chat model gets the
instructions as system turn, the exemplars as user and assistant turns, and last what it is to write.
Not here: what a state holds and which files there are (each task), and how a prompt becomes a chat (records).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rest_react.errors import ConfigError
from rest_react.records import Example, Prompt

STOP = "# [END]"
EXEMPLAR_ID = "exemplar."  # the ids of training rows made from exemplars begin with it
_FORM = "End it with the end mark, [END] behind a # sign. Write no code fence and no other text, and repeat nothing."
VERDICT = "Now write the verdict: comment lines with the reason, then one line that sets Check_Answer to True or False."
_EXAMPLE = re.compile(r"^#{25}\n# Example \d+:\n#{25}\n", re.MULTILINE)
_MARKER = re.compile(r"^# step: (.+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One few-shot example: a state as the task renders it, and the completion."""

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


def closing(asked: str) -> str:
    """What a chat model is told behind the state: what to write, and how to end it."""
    return f"\n{asked} {_FORM}\n"


def read_prompt(text: str, step_name: str, problem: Callable[[str], str]) -> StepPrompt:
    """The prompt in a file's text. `problem` says what is wrong with a completion, "" if nothing is. Raises ValueError
    where the file has another form, or an exemplar would teach an unusable output."""
    instructions, *examples = _EXAMPLE.split(text)
    if not instructions.strip():
        raise ValueError("it has no instructions before its first example")
    exemplars = []
    for number, example in enumerate(examples, start=1):
        if number == len(examples) and not example.strip():
            break  # the closing rule, which opens the example that the model completes
        marker = _MARKER.search(example)
        if marker is None or marker[1] != step_name:
            raise ValueError(f"example {number} lacks the line '# step: {step_name}' before its output")
        completion = example[marker.end() :].strip()
        if not completion.endswith(STOP):
            raise ValueError(f"example {number} does not end with '{STOP}'")
        if found := problem(completion):
            raise ValueError(f"example {number} would teach an unusable output: {found}")
        exemplars.append(Exemplar(example[: marker.end()], completion))
    return StepPrompt(instructions.strip() + "\n", tuple(exemplars))


def load_prompts(
    folder: Path, step_names: Mapping[str, str], problem: Callable[[str, str], str]
) -> dict[str, StepPrompt]:
    """Reads `<kind>.txt` for each kind of call; `problem(kind, completion)` says what is wrong with an exemplar's
    completion. Raises ConfigError that names every file that is missing or odd."""
    if not folder.is_dir():
        raise ConfigError([f"agent.prompts: there is no folder {folder}; give one with a file per kind of call"])
    prompts: dict[str, StepPrompt] = {}
    problems = []
    for kind, step_name in step_names.items():
        path = folder / f"{kind}.txt"
        try:
            prompts[kind] = read_prompt(path.read_text(encoding="utf-8"), step_name, partial(problem, kind))
        except OSError as error:
            problems.append(f"agent.prompts: cannot read {path} ({error.strerror}); it needs one file per kind of call")
        except ValueError as error:
            problems.append(f"agent.prompts: {path}: {error}")
    if problems:
        raise ConfigError(problems)
    return prompts


def texts_hash(texts: Iterable[str]) -> str:
    """Names the exact texts of prompts; stored with the run."""
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:16]


def exemplar_rows(prompts: Mapping[str, StepPrompt]) -> list[Example]:
    """The prompts' exemplars as training rows, each without its end mark."""
    return [
        Example(
            id=f"{EXEMPLAR_ID}{kind}.{i}",
            trajectory_id=f"{EXEMPLAR_ID}{kind}",
            step_index=i,
            kind=kind,
            prompt=shown.state,
            completion=shown.completion.rsplit(STOP, 1)[0].rstrip(),
            selector="exemplar",
        )
        for kind, prompt in prompts.items()
        for i, shown in enumerate(prompt.exemplars)
    ]


def verdict_prompt(template: str, state: str) -> Prompt:
    """The prompt of an LLM grader from a template like prompts/autoeval.txt: in turns where its examples have a step
    line, else as it is."""
    instructions, *examples = _EXAMPLE.split(f"{template.rstrip()}\n")
    pairs = [
        (example[: mark.end()], example[mark.end() :].strip())
        for example in examples[:-1]
        if (mark := _MARKER.search(example))
    ]
    last = closing(VERDICT)
    if len(pairs) < len(examples) - 1 or (examples and examples[-1].strip()):
        return Prompt(f"{template.rstrip()}\n", state, closing=last)
    return Prompt(instructions, state, tuple(pairs), last)

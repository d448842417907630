"""The nouns of the system: questions, prompts, trajectories, rankings, examples, verdicts, results.

Every record is a frozen dataclass that goes to disk as one JSON object, field by field (storage.jsonl writes it).
Ids are built from parts, so that they can be read and sorted: a trajectory is `<question_id>.<repeat>`, a step of it
`<trajectory_id>.<step_index>`.

Example: `Question(id="w17", text="Who founded the town where Ada Mell was born?")` goes through the agent and
becomes `Trajectory(id="w17.0", question_id="w17", outcome="finished", ...)`.

Not here: behaviour. What can be computed from a record (a perplexity) is a property; everything else is a function
in the module that needs it. What clients must offer is in protocols, how seeds are made in seeds.
"""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Question:
    """All that Grow and the agent ever see of a question: there is no field a label could hide in."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with its gold answers, for evaluation alone.

    `answers` are equally good variants. `options` are the competing answers of a comparison or yes/no question;
    `passages` are the ids of the gold passages; `explanation` says why the answer is right.
    """

    question: Question
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    kind: str = ""
    hops: int | None = None
    passages: tuple[str, ...] = ()
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """One document of a closed corpus."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: `source` is a passage id or a URL, `snippet` is untrusted text."""

    source: str
    title: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One lookup of a perfect agent: what it asks and why, the title of the gold passage, and what that says."""

    query: str
    thoughts: str
    title: str
    finding: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How a scripted expert answers one question. `answer` is long-form with `{0}`, `{1}`, ... where hop i is cited."""

    question: str
    hops: tuple[Hop, ...]
    thoughts: str
    answer: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. All calls of a kind share `prefix` (instructions) and `turns` (exemplars, each a state and its
    completion); `state` is this step. `closing` ends the last turn of a chat and says what to write."""

    prefix: str
    state: str
    turns: tuple[tuple[str, str], ...] = ()
    closing: str = ""

    @property
    def text(self) -> str:
        """The whole prompt for a base model: exemplars under numbered rules, then the rule of the one to complete."""
        if not self.turns:
            return self.prefix + self.state
        shown = "".join(f"{example_rule(i)}{a}{b}\n\n" for i, (a, b) in enumerate(self.turns, start=1))
        return f"{self.prefix}{shown}{example_rule(len(self.turns) + 1)}{self.state}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one step. Sample i of it draws from `derive_seed(seed, i)`, so arrival order changes nothing.
    Judges set `logprobs` to False: nobody reads those of a verdict, and many models refuse to give any."""

    temperature: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...] = ()
    logprobs: bool = True


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample of an LLM. `logprob` sums the natural log-probabilities of its `tokens` tokens at temperature 1,
    None where the provider gives none. `prompt_tokens` counts the whole prompt, cached or not; the first sample's, that
    of every request which the samples of its call took. Token i has `token_logprobs[i]` and ends before byte
    `token_ends[i]` of the text in UTF-8; both are empty where that is not known."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    prompt_tokens: int
    token_ends: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample as stored with its step; `problem` says why it cannot be used, empty when it can. `action_tokens` and
    `action_logprob` are its tokens and their sum of log-probabilities over its action alone (comments and call), 0 and
    None where the provider does not tell them apart."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    problem: str = ""
    action_tokens: int = 0
    action_logprob: float | None = None

    @property
    def perplexity(self) -> float | None:
        """exp of the mean negative log-probability per token (the length-normalised reading of paper section 3.2): over
        the action, or over the whole sample where only its sum is known."""
        whole = self.action_logprob is None or self.action_tokens == 0
        logprob, tokens = (self.logprob, self.tokens) if whole else (self.action_logprob, self.action_tokens)
        if logprob is None or tokens == 0:
            return None
        return math.exp(min(-logprob / tokens, 700.0))


@dataclass(frozen=True, slots=True)
class Step:
    """One reasoning step: the state shown to the model and everything it sampled.

    `chosen` indexes the candidate that moved the trajectory on; None when the step was `forced` by the search budget
    or when no candidate could be used. `hits` are the results a summarise step was shown, with their link ids
    counted from `first_link`.
    """

    kind: str
    state: str
    candidates: tuple[Candidate, ...]
    chosen: int | None
    forced: bool = False
    hits: tuple[Hit, ...] = ()
    first_link: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something failed. `whose` decides what follows: `outside` is owed again, `model` is a result and stays."""

    whose: Literal["model", "outside"]
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a trajectory cost: LLM calls, tokens in and out, searches made."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    searches: int = 0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The agent's rollout on one question. `draft` is the answer before the self-checks, `answer` the one after."""

    id: str
    question_id: str
    question: str
    outcome: Literal["finished", "failed"]
    fault: Fault | None
    steps: tuple[Step, ...]
    draft: str
    answer: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a selector said of one step (paper section 3.5). `best` indexes the step's candidates.

    `ranked`: the selector decided. `fallback`: its reply was unusable, so the rollout's own choice stands.
    `errored`: the reply could not be had (an outside fault); it is owed again and filters nothing.
    `good` is the yes/no line of `improve.keep=judged_good`, None where it was not asked or could not be had.
    The tokens are those of the reward model's calls.
    """

    id: str
    kind: str
    selector: str
    status: Literal["ranked", "fallback", "errored"]
    best: int
    order: tuple[int, ...] = ()
    reply: str = ""
    good: bool | None = None
    good_reply: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """One row of training data: the bare state as prompt, the selected candidate as completion."""

    id: str
    trajectory_id: str
    step_index: int
    kind: str
    prompt: str
    completion: str
    selector: str


@dataclass(frozen=True, slots=True)
class Preference(Example):
    """An example with a second completion that is worse than its own: a row for trainers that learn from preferences
    (DPO). Trainers that learn from completions alone take it as any other example."""

    rejected: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A policy's weights. `name` is a Hub id, a hosted model's name or, for `local`, a path inside the run folder. An
    untuned model is prompted with exemplars, a tuned one is not."""

    name: str
    where: Literal["base", "local", "hosted"]
    tuned: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grader's opinion of one answer, and the tokens it took. `unscored`: it could not be had; never counted as
    wrong. `owed`: an external fault was why, so it is asked for again. `refused`: the grader refused the request."""

    verdict: Literal["correct", "incorrect", "unscored"]
    reason: str = ""
    owed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One line of `evaluate/<benchmark>/results.jsonl`: one question answered once, and what the grader said.

    `golds` are the answers it was graded against, so that a line can be judged again by itself. `rule_verdict` is the
    rule grader's verdict on the answer where another grader was asked; None otherwise, and in older files.
    """

    id: str
    question_id: str
    kind: str
    hops: int | None
    outcome: Literal["finished", "failed"]
    fault: Fault | None
    answer: str
    draft: str
    verdict: Verdict
    verdict_before_checks: Verdict
    em: float
    f1: float
    searches: int
    calls: int
    tokens: int
    question: str = ""
    golds: tuple[str, ...] = ()
    rule_verdict: Verdict | None = None


def example_rule(number: int) -> str:
    """What opens an exemplar in a prompt that is one text."""
    rule = "#" * 25
    return f"{rule}\n# Example {number}:\n{rule}\n"


def chat_turns(prompt: Prompt, *, system: bool = True) -> list[dict[str, str]]:
    """The prompt as the turns of a chat: a system turn, exemplars as user and assistant turns, and the user's last one.

    With `system=False`, for templates without a system turn, the prefix stands at the head of the first user turn.
    """
    head = [{"role": "system", "content": prompt.prefix}] if prompt.prefix and system else []
    turns = [
        {"role": role, "content": text}
        for pair in prompt.turns
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    turns.append({"role": "user", "content": prompt.state + prompt.closing})
    if not system:
        turns[0]["content"] = prompt.prefix + turns[0]["content"]
    return head + turns

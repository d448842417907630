"""The nouns of the system: questions, prompts, trajectories, rankings, examples, verdicts, results.

Every record is a frozen dataclass that is saved as one JSON object, field by field (storage.jsonl).
Ids are built from parts: the id of a trajectory is `<question_id>.<repeat>`, that of a step
`<trajectory_id>.<step_index>`.

Example: from `Question(id="w17", text="Who founded the town where Ada Mell was born?")` the agent makes
`Trajectory(id="w17.0", question_id="w17", outcome="finished", ...)`.

Not here: behaviour. Values computed from one record (a perplexity) are properties; everything else is a function in the
module that needs it. The interfaces of clients are in protocols, seeds in seeds.
"""

import math
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Question:
    """A question without labels: all that Grow and the agent see."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """One link of a question's chain: the relation of the subject has this value, as a passage says. The subject is
    empty where the relation is a question of its own. The passage is known by its id, its title, or neither."""

    subject: str
    relation: str
    value: str
    passage: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with its gold answers, used only in evaluation, and in demonstrations on a user's own data.

    `answers` are equivalent gold answers. `options` are the possible answers of a comparison or yes/no question;
    `passages` are the ids of the gold passages; `explanation` says why the answer is correct; `chain` are the lookups
    that lead to it, read for demonstrations only.
    """

    question: Question
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    kind: str = ""
    hops: int | None = None
    passages: tuple[str, ...] = ()
    explanation: str = ""
    chain: tuple[Lookup, ...] = field(default=(), repr=False)  # not in the digest of a question set


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
    """One search of the scripted expert: query and thoughts, the title of the gold passage, and the fact in it. In
    plans for a user's own questions `values` are what the passage must state."""

    query: str
    thoughts: str
    title: str
    finding: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a scripted expert answers one question. `answer` is long-form with `{0}`, `{1}`, ... where hop i is cited.
    With `tells_rejected` its summaries begin with a comment for each link that is not selected."""

    question: str
    hops: tuple[Hop, ...]
    thoughts: str
    answer: str
    tells_rejected: bool = True


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. All calls of a step kind share `prefix` (instructions) and `turns` (exemplars, each a
    state and its completion); `state` is the current step. `closing` is the last instruction of a chat."""

    prefix: str
    state: str
    turns: tuple[tuple[str, str], ...] = ()
    closing: str = ""

    @property
    def text(self) -> str:
        """The prompt as one text, for a base model: the exemplars with numbered headings, then the state to
        complete."""
        if not self.turns:
            return self.prefix + self.state
        shown = "".join(f"{example_rule(i)}{a}{b}\n\n" for i, (a, b) in enumerate(self.turns, start=1))
        return f"{self.prefix}{shown}{example_rule(len(self.turns) + 1)}{self.state}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one step. Sample i has the seed `derive_seed(seed, i)`, so the order of arrival has no effect.
    Judges set `logprobs` to False: they are not needed, and many models refuse to return them. `top_logprobs` is how
    many likely tokens a server lists at each position."""

    temperature: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...] = ()
    logprobs: bool = True
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample of an LLM. `logprob` sums the natural log-probabilities of its `tokens` tokens at temperature 1,
    None if the provider gives none. `prompt_tokens` counts the whole prompt, cached or not; that of the first sample
    counts the prompts of all requests of its call. Token i has `token_logprobs[i]` and ends before byte
    `token_ends[i]` of the text in UTF-8; both are empty if they are unknown."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    prompt_tokens: int
    token_ends: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionScores:
    """How likely a reply is to begin with each of the given options: natural log-probabilities at temperature 1, in the
    order of the options. `floored` are the indexes of options that a server did not list; their values are upper
    bounds."""

    logprobs: tuple[float, ...]
    floored: tuple[int, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample as stored in its step. `problem` says why it cannot be used; empty if it can. `action_tokens` and
    `action_logprob` count the tokens and sum the log-probabilities of its action only (comments and call); 0 and
    None if the provider does not give them per token."""

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
        the action, or over the whole sample if only the sum is known."""
        whole = self.action_logprob is None or self.action_tokens == 0
        logprob, tokens = (self.logprob, self.tokens) if whole else (self.action_logprob, self.action_tokens)
        if logprob is None or tokens == 0:
            return None
        return math.exp(min(-logprob / tokens, 700.0))


@dataclass(frozen=True, slots=True)
class Step:
    """One reasoning step: the state shown to the model, and all samples.

    `chosen` is the index of the candidate that continued the rollout; None if the step was `forced` by the search limit
    or no candidate could be used. `hits` are what the step got from outside: the search results of a summarise step,
    whose link ids start at `first_link`; what the code of a step came to (tasks.rollout).
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
    """Why something failed. `outside`: an external error, which the next run retries. `model`: an error of the
    model, which is a result and is kept."""

    whose: Literal["model", "outside"]
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources of a trajectory: LLM calls, tokens in and out, searches."""

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
    """The choice of a selector for one step (paper section 3.5). `best` is the index of the chosen candidate.

    `ranked`: the selector decided. `fallback`: the reply was unusable, so the candidate chosen in the rollout is the
    target. `errored`: the request failed because of an external error; the next run retries it, and it filters nothing.
    `good` is the yes or no of `improve.keep=judged_good`; None if it was not requested or the reply had neither.
    The tokens are those of the calls to the reward model.
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
class OptionRanking(Ranking):
    """A ranking by a reward model that scores options (`improve.reward=options`).

    `logprobs` has one row per request: the score of each candidate, in the order of their indexes (those in `order`).
    `letters` has the letter of each candidate in that request. The order is that of the columns' sums.
    `good_logprobs` are those of yes and no. `floored` counts options that a server did not list. `written`: the model
    gave no scores, so a reply was written.
    """

    letters: tuple[str, ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    good_logprobs: tuple[float, ...] = ()
    floored: int = 0
    written: bool = False


@dataclass(frozen=True, slots=True)
class TrajectoryVerdict:
    """A reward model's verdict on the answer of a trajectory (`improve.keep_trajectories=judged_good`).

    `judged`: `good` is the verdict. `unscored`: a refusal, or a reply with neither yes nor no. `errored`: an external
    error. Without a verdict `good` is None. `logprobs` are those of yes and no; empty if the verdict was written."""

    id: str
    status: Literal["judged", "unscored", "errored"]
    good: bool | None = None
    reply: str = ""
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class WorseOutput:
    """An output that is taken for worse than a demonstration: a sample of the policy with another decision, or the
    demonstration with an error."""

    text: str
    origin: Literal["policy", "corruption"]


@dataclass(frozen=True, slots=True)
class JudgePairs:
    """The pairs of one demonstrated step, for the training of a judge: `good` is the demonstration. `problem` says why
    the policy gave no samples. The tokens are those of its samples."""

    id: str
    question_id: str
    kind: str
    state: str
    good: str
    worse: tuple[WorseOutput, ...]
    problem: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A held-out pair and the trained judge's log-odds of yes for its two outputs."""

    id: str
    question_id: str
    kind: str
    origin: Literal["policy", "corruption"]
    good: float
    worse: float


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: the state (without instructions) as prompt, the selected candidate as completion."""

    id: str
    trajectory_id: str
    step_index: int
    kind: str
    prompt: str
    completion: str
    selector: str


@dataclass(frozen=True, slots=True)
class Preference(Example):
    """An example with a second, worse completion, for trainers that learn from preferences (DPO). Other trainers
    treat it as a plain example."""

    rejected: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The weights of a policy. `name` is a Hub id, the name of a hosted model or, for `local`, a path in the run
    folder. An untuned model is prompted with exemplars, a tuned one is not."""

    name: str
    where: Literal["base", "local", "hosted"]
    tuned: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a grader on one answer, and the tokens used. `unscored`: there is no verdict; not counted as
    incorrect. `owed`: because of an external error, so the next run retries it. `refused`: the grader refused the
    request."""

    verdict: Literal["correct", "incorrect", "unscored"]
    reason: str = ""
    owed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One line of `evaluate/<benchmark>/results.jsonl`: one answer to one question, and its verdicts.

    `golds` are the gold answers, so that a line can be graded again without other files. `rule_verdict` is the
    verdict of the rule grader if another grader was used; else None, also in older files.
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
    """The heading of an exemplar in a prompt that is one text."""
    rule = "#" * 25
    return f"{rule}\n# Example {number}:\n{rule}\n"


def chat_turns(prompt: Prompt, *, system: bool = True) -> list[dict[str, str]]:
    """The prompt as the turns of a chat: a system turn, exemplars as user and assistant turns, and the user's last one.

    With `system=False`, for templates without a system turn, the first user turn starts with the prefix.
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

"""`ScriptedLLM`, a fake language model that follows known plans and makes errors in known shares.

It parses the state and writes the next action of the question's `Plan`. For the plan "author of The Lantern of Dravol",
then "birthplace of Imra Tesken", after the first search:

    ACTION_SELECTED = ActionWrapper(thoughts="I need the birthplace of Imra Tesken.", action=Search(...))  # [END]

Each sample is drawn independently: right, wrong (a plausible error), unparsable, or with an empty element. The output
depends only on the prompt and the seed. With `slip` it is the expert that writes demonstrations: at times
it searches badly or drafts a flawed answer, so that its next steps show the repair. Such outputs are marked by
`finish="slip"`, so that nobody is trained on them.
Not here: the right action (scripted.expert), the errors (scripted.mistakes), and language models (llm).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Completion, Plan, Prompt, Sampling
from rest_react.remote.budget import Metered
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count, Name, Share
from rest_react.tasks.search_qa.actions import Action, Answer, Search, render_output
from rest_react.tasks.search_qa.scripted.expert import (
    CITATION,
    citations,
    improvised_plan,
    next_hop,
    right_action,
    right_answer,
)
from rest_react.tasks.search_qa.scripted.mistakes import emptied, unparsable_text, vague_query, wrong_action
from rest_react.tasks.search_qa.scripted.parse_state import ParsedState, parse_state

# Mean log-probability of a token, and its spread: right outputs are a little likelier, but the ranges overlap.
_LOGPROBS = {"right": (-0.25, 0.10), "wrong": (-0.35, 0.15), "unparsable": (-0.60, 0.20), "empty": (-0.40, 0.15)}


@dataclass(frozen=True, slots=True)
class ScriptedModel(ModelSettings):
    """The scripted policy, without a language model: shares of right, wrong, unparsable and empty samples."""

    runs: ClassVar[Runs] = "script"
    tuned: ClassVar[Tuned] = "here"

    kind: Literal["scripted"]
    model: Name  # the model that fine-tuning tunes
    right: Share  # of the samples, relative to the other three
    wrong: Share  # samples with a plausible mistake
    unparsable: Share  # samples that cannot be parsed
    empty: Share  # samples with an empty element
    in_flight: Count  # trajectories at once
    price: Price  # US dollars per million tokens, input and output

    def open(self, context: ModelContext) -> Metered:
        shares = {name: getattr(self, name) for name in ("right", "wrong", "unparsable", "empty")}
        return Metered(context.scripted(**shares), context.meter)

    def problems(self, path: str) -> Iterator[str]:
        if self.right + self.wrong + self.unparsable + self.empty <= 0:
            yield f"{path}: right, wrong, unparsable and empty are all 0; give at least one a share"


class ScriptedLLM(LLM):
    """An `LLM` that follows plans, keyed by the question's text. The four shares are normalised."""

    def __init__(
        self,
        plans: Mapping[str, Plan],
        *,
        seed: int,
        right: float,
        wrong: float,
        unparsable: float,
        empty: float,
        slip: float = 0.0,
    ) -> None:
        self._plans = plans
        self._seed = seed
        self._shares = {"right": right, "wrong": wrong, "unparsable": unparsable, "empty": empty}
        self._slip = slip

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples, each drawn from `derive_seed(sampling.seed, i)` alone."""
        state = parse_state(prompt.state)
        plan = self._plans.get(state.question) or improvised_plan(state)
        right = right_action(state, plan)
        slipped = self._slipped(state, plan)
        seen = len(prompt.text.split())
        completions = []
        for i in range(n):
            rng = Random(derive_seed(sampling.seed, i))
            drawn = rng.choices(list(self._shares), list(self._shares.values()))[0]
            if drawn == "right":
                text = render_output(slipped or right)
            elif drawn == "wrong":
                text = render_output(wrong_action(state, plan, right, rng))
            elif drawn == "empty":
                text = render_output(emptied(right))
            else:
                text = unparsable_text(render_output(right), rng)
            finish = "slip" if drawn == "right" and slipped else "stop"
            words = len(text.split())
            completions.append(Completion(text, words, _logprob(drawn, words, prompt.state, text), finish, seen))
        return completions

    def _slipped(self, state: ParsedState, plan: Plan) -> Action | None:
        """The flawed action this step gets instead of the right one, if any: a function of question and state."""
        rng = Random(derive_seed(self._seed, "slip", state.kind, state.question, len(state.past)))
        if rng.random() >= self._slip:
            return None
        if state.kind == "answer":
            cites = citations(state.selected.values())
            bare = CITATION.sub("", right_answer(state, plan).answer)
            flawed = rng.choice((bare, f"The links found are about this question{cites}."))
            return Answer("I write down what I have.", flawed)
        hop = next_hop(state, plan)
        # One bad search a trajectory, if enough are left for the plan: a second query outside it would be the second.
        spare = state.remaining is None or state.remaining > len(plan.hops) - len(state.queries)
        if state.kind == "decide" and hop and spare and state.queries <= {planned.query for planned in plan.hops}:
            return Search(vague_query(hop), "I look for this in general.")
        return None


def _logprob(drawn: str, words: int, state: str, text: str) -> float:
    """The log-probability of a text, plausible and always the same for the same text and state."""
    mean, spread = _LOGPROBS[drawn]
    return words * min(Random(derive_seed("logprob", state, text)).gauss(mean, spread), -0.01)

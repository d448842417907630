"""The reward model: an LLM that ranks the candidates of a step (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply=Completion(...))

It writes its ranking, as in the paper, or scores options (`best_option`). A model that gives no scores is asked to
write. A reply that cannot be parsed gives an empty order, not an error.
Not here: the shuffled list of candidates in the prompt (selection.shuffled_ranking_prompt), scores of options
(selection.option_ranking), parsing of replies (judges.ranking_reply, judges.good_reply), which candidates are shown
(selection.filters), how the choice is recorded (selection.rank_step), and rules that need no model
(tasks.search_qa.judging.verifier).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.judges.good_reply import read_good
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.selection.opinions import Judgement, Opinion
from rest_react.selection.option_ranking import judge_by_yes_no, rank_by_letters, with_tokens_of
from rest_react.selection.shuffled_ranking_prompt import RankingPrompt
from rest_react.text_safety.escaping import fill_in, inert
from rest_react.trajectories.parsed import Evidence


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Ranks candidates and judges one. `ranking` and `best_option` are templates with {inputs} and {outputs},
    `judged_good` one with {inputs} and {output}, `judged_answer` one with {question}, {snippets} and {answer},
    `read_answer` one with {question} and {passages}. The templates have the code fences around these; {outputs}
    contains its own. `best_option` is None if replies are written."""

    llm: LLM
    ranking: str
    judged_good: str
    max_tokens: int
    best_option: str | None = None
    judged_answer: str = ""
    read_answer: str = ""

    @property
    def by_options(self) -> bool:
        """Whether options are scored."""
        return self.best_option is not None

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """Ranks distinct candidates. Raises the errors of the client."""
        scored: Opinion | None = None
        if self.best_option is not None:
            scored = await rank_by_letters(self.llm, self.best_option, state, candidates, seed=seed)
            if scored is not None and scored.logprobs:
                return scored
        prompt = RankingPrompt.shuffled(self.ranking, state, candidates, seed)
        reply = await self._ask(prompt.text, seed)
        return Opinion(prompt.order(reply.text), with_tokens_of(reply, scored))

    async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement:
        """The yes or no on one candidate. Raises the errors of the client."""
        return await self._judge(fill_in(self.judged_good, inputs=inert(state), output=inert(candidate)), seed)

    async def is_right(self, found: Evidence, *, seed: int) -> Judgement:
        """The yes or no on the answer of a trajectory, by its question and its cited snippets alone. Raises the errors
        of the client."""
        # One line each, so that a snippet cannot imitate another citation.
        snippets = "\n".join(f"[link_id={i}] {_line(hit.title)}: {_line(hit.snippet)}" for i, hit in found.cited)
        shown = {"question": found.question, "answer": found.answer, "snippets": snippets or "(none)"}
        return await self._judge(
            fill_in(self.judged_answer, **{name: inert(text) for name, text in shown.items()}), seed
        )

    async def answer(self, found: Evidence, *, seed: int) -> Completion:
        """Its own answer to the question of a trajectory, from the selected passages alone. Raises the errors of the
        client."""
        passages = "\n".join(f"{_line(hit.title)}: {_line(hit.snippet)}" for hit in found.selected) or "(none)"
        shown = {"question": inert(found.question), "passages": inert(passages)}
        return await self._ask(fill_in(self.read_answer, **shown), seed)

    async def _judge(self, text: str, seed: int) -> Judgement:
        scored: Judgement | None = None
        if self.by_options:
            scored = await judge_by_yes_no(self.llm, f"{text.rstrip()}\n\nGOOD:")
            if scored is not None and scored.logprobs:
                return scored
        reply = await self._ask(text, seed)
        return Judgement(read_good(reply.text), with_tokens_of(reply, scored))

    async def _ask(self, text: str, seed: int) -> Completion:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion


def _line(text: str) -> str:
    return " ".join(text.split())

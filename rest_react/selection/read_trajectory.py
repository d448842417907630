"""What the evidence of a trajectory adds to the log-probability of a text, read by a model that writes nothing.

    await read_trajectory("evidence_needed", found, answer_read, llm)  # Judgement(True, ..., logprobs=(-31.2, -44.0))
    worse_than_average(verdicts)                                       # {"q3.1"}: these do not train

    question_read    the question: given the selected passages and the queries without their names, and given nothing
    answer_read      the answer: given the question with the selected passages, and given the question alone

A trajectory that found the right passages makes its question likelier than the other trajectories of the same question
do; so it is kept if it adds at least as much as they do on average. An answer that the passages do not make likelier
came from somewhere else. Differences as small as the noise of bfloat16 do not count. The model sees no gold answer, and
the question is read without the trajectory's answer.
Sources: Cycle-Consistent Search, where a model rewrites the question and the result is a reward within a group of
trajectories; ablation of the evidence, e.g. ContextCite (Cohen-Wang et al. 2024). Their lexical forms need no model:
selection.trajectory_signals.reconstruction and support.
Not here: the record of a verdict (selection.judge_trajectory), how clients score a text (llm.option_scores).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault
from rest_react.protocols import LLM
from rest_react.records import Completion, Hit, Prompt, TrajectoryVerdict
from rest_react.selection.opinions import Judgement
from rest_react.selection.option_ranking import DIGITS, taken_by
from rest_react.selection.trajectory_signals.reconstruction import mask_names
from rest_react.text_safety.escaping import inert
from rest_react.trajectories.parsed import Evidence

_ASKED = "The question that these notes answer, in one sentence.\nQuestion:"
_ANSWERED = "The answer to the question, in a few words.\nAnswer:"
_NOISE = 0.01  # as a share of a text's log-probability: reads of it in bfloat16 differ by less (docs/metrics.md)
_NONE = "(none)\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, and two beginnings behind which it is read: `given` has the evidence, `bare` has not."""

    given: str
    bare: str
    text: str

    @property
    def prompts(self) -> tuple[Prompt, Prompt]:
        """With the evidence, and without it."""
        return Prompt("", self.given), Prompt("", self.bare)


def question_read(found: Evidence) -> Reading:
    """The question behind the selected passages and the queries without their names, and behind neither."""
    queries = "".join(f"Search: {mask_names(_line(query), found.question)}\n" for query in found.queries)
    given, bare = f"{_passages(found.selected)}{queries}", _passages(())
    return Reading(f"{given}\n{_ASKED}", f"{bare}\n{_ASKED}", _line(found.question))


def answer_read(found: Evidence) -> Reading:
    """The answer behind the question with the selected passages, and behind the question alone."""
    asked = f"Question: {_line(found.question)}\n\n{_ANSWERED}"
    return Reading(f"{_passages(found.selected)}{asked}", f"{_passages(())}{asked}", _line(found.short_answer))


def trajectory_text(found: Evidence) -> str:
    """The question, the queries, the selected results and the answer, one line each: what a trained judge reads."""
    queries = "".join(f"Search: {_line(query)}\n" for query in found.queries)
    selected = "".join(f"Selected: {_line(hit.title)}: {_line(hit.snippet)}\n" for hit in found.selected)
    return f"Question: {_line(found.question)}\n{queries}{selected}Answer: {_line(found.answer)}"


async def read_trajectory(keep: str, found: Evidence, reads: Callable[[Evidence], Reading], llm: LLM) -> Judgement:
    """The log-probabilities of the text with the evidence and without it; good if the evidence makes it likelier. A
    trajectory without an answer or a selected passage is not good, and the model is not asked. Raises ModelFault, with
    the name of the filter `keep`, if the model gives no log-probability of the text, and the errors of the client."""
    reading = reads(found)
    if not reading.text or not found.selected:
        return Judgement(False, Completion("", 0, None, "stop", 0))
    scores = await gather_or_cancel(llm.score(prompt, (reading.text,)) for prompt in reading.prompts)
    found_scores = [one for one in scores if one is not None and one.logprobs]
    if len(found_scores) < len(scores):
        raise ModelFault(
            f"improve.keep_trajectories={keep}: the reward model gives no log-probabilities of a whole text; set "
            "reward_model=same with a policy in this process, or reward_model=vllm_remote reward_model.mode=completion "
            "for a server of vLLM"
        )
    given, bare = (round(one.logprobs[0], DIGITS) for one in found_scores)
    return Judgement(is_likelier(given, bare), taken_by(found_scores, ""), (given, bare))


def is_likelier(given: float, bare: float) -> bool:
    """Whether a text is likelier with the evidence than without it, by more than the noise of two reads."""
    return given - bare > _noise(bare)


def worse_than_average(verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories whose evidence adds less to the question than that of its trajectories does on
    average, and of those without evidence or without others to compare with. One without a verdict stays."""
    of_question: dict[str, list[TrajectoryVerdict]] = {}
    for one in verdicts:
        of_question.setdefault(one.id.rpartition(".")[0], []).append(one)
    worse: set[str] = set()
    for found in of_question.values():
        judged = [one for one in found if one.status == "judged"]
        added = {one.id: one.logprobs[0] - one.logprobs[1] for one in judged if one.logprobs}
        worse |= {one.id for one in judged if not one.logprobs or len(found) == 1}
        average = fmean(added.values()) if added else 0.0
        worse |= {one.id for one in judged if one.logprobs and added[one.id] < average - _noise(one.logprobs[1])}
    return frozenset(worse)


def _noise(logprob: float) -> float:
    return max(_NOISE * abs(logprob), 10.0**-DIGITS)


def _passages(hits: Iterable[Hit]) -> str:
    # One line each, so that no passage can write the lines below.
    shown = "".join(f"{_line(hit.title)}: {_line(hit.snippet)}\n" for hit in hits)
    return f"Passages:\n{shown or _NONE}\n"


def _line(text: str) -> str:
    return " ".join(inert(text).split())

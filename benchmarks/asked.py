"""What the reward model of the settings says of trajectories and of mixed steps, asked once and kept in a file.

    said = await ask(parts, about_steps(mixed), output / "asked.jsonl")
    order_scores(said)                     # Scores of a step's usable candidates, for benchmarks.selection

The reward model is asked in the same way as in Improve: by options or in writing, as improve.reward says. A request
that is refused, or whose reply is unusable, has no scores; an outage ends the command, and the next one resumes.
Not here: gold, and other scores (scores, trajectory_scores).
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gold import JudgedStep
from benchmarks.scores import Scores, perplexity
from rest_react.build import Parts
from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault
from rest_react.seeds import derive_seed
from rest_react.selection.filters import usable_candidates
from rest_react.selection.opinions import Judgement, Opinion, StepJudge
from rest_react.storage.jsonl import JsonLines, read_lines
from rest_react.tasks.search_qa.judging.evidence import evidence_of
from rest_react.tasks.search_qa.step import parse_step
from rest_react.trajectories.parsed import ParsedTrajectory

Said = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the reward model, and the text that it is about."""

    text: str
    put: Callable[[StepJudge], Awaitable[tuple[float, ...]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The scores that the reward model gave, by a hash of the text; empty if its reply is unusable."""

    id: str
    scores: tuple[float, ...]


def about_steps(mixed: Sequence[JudgedStep]) -> dict[str, Request]:
    """A request for each step, by its id: the score of each usable candidate."""

    def request(judged: JudgedStep) -> Request:
        parsed = parse_step(judged.step)
        state, targets = judged.step.state, [parsed.actions[i].target for i in usable_candidates(parsed)]

        async def put(judge: StepJudge) -> tuple[float, ...]:
            return _of_opinion(await judge.rank(state, targets, seed=derive_seed(0, judged.id)))

        return Request("\0".join((state, *targets)), put)

    return {judged.id: request(judged) for judged in mixed}


def about_trajectories(parsed: Sequence[ParsedTrajectory]) -> dict[str, Request]:
    """A request for each trajectory, by its id: the log-odds that its answer is right, or 1 and 0 for a written
    verdict."""

    def request(one: ParsedTrajectory) -> Request:
        found, seed = evidence_of(one), derive_seed(0, one.trajectory.id, "right")

        async def put(judge: StepJudge) -> tuple[float, ...]:
            return _of_judgement(await judge.is_right(found, seed=seed))

        return Request(repr(found), put)

    return {one.trajectory.id: request(one) for one in parsed}


async def ask(parts: Parts, requests: Mapping[str, Request], cache: Path) -> Said:
    """The scores of every request; texts in `cache` are not asked about again. Raises OutsideFault in an outage."""
    judge = parts.judges.reward_model()
    assert judge is not None, "improve.selector=reward_model"
    known = {one.id: one.scores for one in read_lines(cache, Asked)}
    ids = {id_: hashlib.sha256(one.text.encode("utf-8", "replace")).hexdigest()[:24] for id_, one in requests.items()}
    log = JsonLines(cache, Asked)
    log.resume()
    remaining = iter({ids[id_]: one for id_, one in requests.items() if ids[id_] not in known}.items())

    async def worker() -> None:
        for hash_, one in remaining:
            try:
                known[hash_] = await one.put(judge)
            except ModelFault:
                known[hash_] = ()
            log.append(Asked(hash_, known[hash_]))

    try:
        await gather_or_cancel(worker() for _ in range(parts.settings.policy.in_flight))
    finally:
        await judge.llm.aclose()
    return {id_: known[hash_] for id_, hash_ in ids.items()}


def order_scores(said: Said) -> Scores:
    """The reward model's scores by the step's id; `perplexity` for a step without any."""

    def scores(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        return list(said.get(judged.id, ())) or perplexity(judged, usable)

    return scores


def _of_opinion(opinion: Opinion) -> tuple[float, ...]:
    if not opinion.order:
        return ()
    if opinion.logprobs:
        return tuple(sum(column) / len(opinion.logprobs) for column in zip(*opinion.logprobs, strict=True))
    return tuple(-float(opinion.order.index(place)) for place in range(len(opinion.order)))


def _of_judgement(judgement: Judgement) -> tuple[float, ...]:
    if judgement.good is None:
        return ()
    if judgement.logprobs:
        yes, no = judgement.logprobs
        return (yes - no,)
    return (float(judgement.good),)

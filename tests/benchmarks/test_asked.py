"""What a reward model says is asked once, and a reply without a use has no score."""

import asyncio
from pathlib import Path

from benchmarks.asked import about_steps, about_trajectories, ask, order_scores
from benchmarks.gold import JudgedStep
from benchmarks.scores import perplexity
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.records import Candidate, Completion, Step, Trajectory, Usage
from rest_react.selection.opinions import Judgement, Opinion
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.search_qa.step import parse_step
from rest_react.trajectories.parsed import ParsedTrajectory

REPLY = Completion("", 1, None, "stop", 9)
TEXTS = (f'Search(query="{i}", thoughts="t")' for i in range(2))
STEP = Step("decide", "s", tuple(Candidate(text, 1, -1.0, "stop") for text in TEXTS), 0)
JUDGED = JudgedStep("q.0.0", "q", STEP, (True, False), (0, 0))
WHOLE = Trajectory("q.0", "q", "Q?", "finished", None, (STEP,), "a", "a", Usage())


class Judge:
    """A judge with recorded opinions, as `llm` too."""

    by_options = True

    def __init__(self, opinion: Opinion, judgement: Judgement) -> None:
        self.llm, self.opinion, self.judgement, self.asked = self, opinion, judgement, []

    async def rank(self, state, candidates, *, seed):
        self.asked.append(state)
        return self.opinion

    async def is_right(self, found, *, seed):
        self.asked.append(found.question)
        return self.judgement

    async def aclose(self) -> None:
        pass


def said(tmp_path: Path, opinion: Opinion, judgement: Judgement) -> tuple[dict, list[str]]:
    parts = Parts(compose(["experiment=smoke"]), RunFolder(tmp_path / "run"))
    judge = parts.judges.reward_model = Judge(opinion, judgement)  # type: ignore[method-assign, assignment]
    parts.judges.reward_model = lambda: judge  # type: ignore[method-assign, assignment, return-value]
    requests = about_steps([JUDGED]) | about_trajectories([ParsedTrajectory(WHOLE, (parse_step(STEP),))])
    return dict(asyncio.run(ask(parts, requests, tmp_path / "asked.jsonl"))), judge.asked


def test_options_are_averaged_over_rotations_and_asked_for_once(tmp_path: Path) -> None:
    by_options = (
        Opinion((1, 0), REPLY, ("AB", "BA"), ((-2.0, -1.0), (-4.0, -1.5))),
        Judgement(True, REPLY, (-0.5, -1.5)),
    )
    for asked in (["s", "Q?"], []):
        found, told = said(tmp_path, *by_options)
        assert (found, told) == ({"q.0.0": (-3.0, -1.25), "q.0": (1.0,)}, asked)
    assert order_scores(found)(JUDGED, (0, 1)) == [-3.0, -1.25]


def test_written_replies_give_places_and_an_unusable_one_gives_none(tmp_path: Path) -> None:
    found, _ = said(tmp_path / "a", Opinion((1, 0), REPLY), Judgement(False, REPLY))
    assert found == {"q.0.0": (-1.0, 0.0), "q.0": (0.0,)}
    found, _ = said(tmp_path / "b", Opinion((), REPLY), Judgement(None, REPLY))
    assert found == {"q.0.0": (), "q.0": ()}
    assert order_scores(found)(JUDGED, (0, 1)) == perplexity(JUDGED, (0, 1))

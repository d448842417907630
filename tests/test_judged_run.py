"""A run whose reward model is a server that lists log-probabilities: rankings, verdicts on trajectories, the report."""

import asyncio
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

from rest_react.build import Parts, QuestionSet, QuestionSets
from rest_react.config.compose import compose
from rest_react.loop import Loop
from rest_react.records import OptionRanking, Trajectory, TrajectoryVerdict
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import read_summary
from tests.loopback import Reply, Request, serve

GOLD = "only-a-label-says-this"
HOW = (
    "experiment=smoke", "iteration=1", "finetune=dry_run", "world.demonstrations=2", "world.train=4",
    "world.evaluation=2", "reward_model=openai", "reward_model.api_key_env=''", "reward_model.requests_per_minute=null",
    "reward_model.price={input: 0.0, output: 0.0}", "improve.selector=reward_model", "improve.reward=options",
    "improve.keep=all", "improve.keep_trajectories=judged_good",
)  # fmt: skip


def is_liked(question: str) -> bool:
    return zlib.crc32(question.encode()) % 2 == 0


def judge(request: Request) -> Reply:
    """Prefers the letter A slightly and the shortest output strongly; has its opinion of
    answers by their questions."""
    text = request.json["messages"][-1]["content"]
    shown = re.findall(r"^\*\*\* Output ([A-Z]):\n```\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    if shown:
        logprobs = {letter: -0.01 * len(output) - 1 + 0.3 * (letter == "A") for letter, output in shown}
    else:
        question = re.findall(r"^```\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)[0]
        logprobs = {"yes": -0.2, "no": -2.0} if is_liked(question) else {"yes": -2.0, "no": -0.2}
    listed = [{"token": token, "logprob": value} for token, value in logprobs.items()]
    content = [{**listed[0], "top_logprobs": listed}]
    choice = {"message": {"content": listed[0]["token"]}, "logprobs": {"content": content}, "finish_reason": "length"}
    return Reply(200, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})


class Labelled(QuestionSets):
    """Questions of Grow with a label that stands nowhere else."""

    def grown(self) -> QuestionSet:
        found = super().grown()
        labelled = tuple(replace(one, answers=(GOLD,), options=(GOLD,), explanation=GOLD) for one in found.labelled)
        return replace(found, labelled=labelled)


def test_a_server_that_lists_log_probabilities_ranks_steps_and_judges_answers_without_labels(tmp_path: Path) -> None:
    with serve(judge) as server:
        settings = compose([*HOW, f"reward_model.base_url={server.url}/v1", f"output={tmp_path}"])
        folder = RunFolder(tmp_path / "smoke")
        lock_settings(folder.root, locked_settings(settings), {"python": "3"})
        parts = Parts(settings, folder)
        parts.question_sets = Labelled(settings, folder)
        asyncio.run(Loop(settings, parts).run_to(1))
        sent = [request.body.decode() for request in server.requests]
    assert sent
    assert not any(GOLD in body for body in sent)
    stage = folder.stage(1, "improve")
    finished = [t for t in read_lines(folder.stage(1, "grow") / "trajectories.jsonl", Trajectory) if not t.fault]
    verdicts = list(read_lines(stage / "verdicts.jsonl", TrajectoryVerdict))
    assert [(one.id, one.good) for one in verdicts] == [(t.id, is_liked(t.question)) for t in finished]
    rankings = list(read_lines(stage / "rankings.jsonl", OptionRanking))
    assert {one.id.rpartition(".")[0] for one in rankings} <= {one.id for one in verdicts if one.good}
    asked = [one for one in rankings if one.logprobs]
    assert asked
    assert all(len(one.logprobs) == len(one.letters) == len(one.order) for one in asked)
    steps = {f"{t.id}.{i}": step for t in finished for i, step in enumerate(t.steps)}
    for one in asked:  # the preference for A has cancelled
        assert one.best == min(sorted(one.order), key=lambda i, one=one: len(steps[one.id].candidates[i].text))
    summary = read_summary(stage) or {}
    assert summary["written"] == summary["trajectories_not_judged"] == 0
    assert len(sent) == len(verdicts) + sum(len(one.logprobs) for one in asked)
    rows = json.loads((folder.root / "results.json").read_text())["rows"]
    assert [row["iteration"] for row in rows] == [0, 1]

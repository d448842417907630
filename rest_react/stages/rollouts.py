"""Rollouts: the policy answers many questions, each `repeats` times, and the trajectories go to one file.

    await answer_all(task, policy, questions, stage / TRAJECTORIES, repeats=2, seed=7, in_flight=64, title="grow")

Used by grow and evaluate. The seed of each trajectory is derived from its id, "<question>.<repeat>".
Not here: one rollout (tasks), resuming and concurrency (stages.executor), summaries (stages.grow, stages.evaluate).
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from rest_react.errors import NOT_ASKED
from rest_react.records import Question, Trajectory
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.remote.session import session
from rest_react.seeds import derive_seed
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.storage.jsonl import read_lines, refuse_foreign
from rest_react.tasks.protocol import Policy, Task
from rest_react.tasks.rollout import with_policy
from rest_react.terminal.console import say

TRAJECTORIES = "trajectories.jsonl"
TOLD_FROM = 0.1  # the share of pages that could not be read


async def answer_all(
    task: Task,
    policy: Policy,
    questions: Sequence[Question],
    path: Path,
    *,
    repeats: int,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float = 0.0,
) -> list[tuple[int, float]]:
    """Samples one trajectory per question and repeat into `path`, in canonical order. Returns the output tokens and the
    seconds of each trajectory that this call made and that no external error ended; not of those made before.

    An answer of an earlier command stays if its question still has the same text. Raises RunFolderError, before
    anything is asked, if the file has answers to other questions; StageIncomplete if more than the `tolerated` share of
    the trajectories failed because of external errors; and UsageError if the model refused the first call of every
    question (two or more): a setting is wrong.
    """
    by_id = {question.id: question for question in questions}

    ids = list(in_order([question.id for question in questions], repeats))
    refuse_foreign(path, set(ids))
    items = ((id_, by_id[id_.rpartition(".")[0]]) for id_ in ids)

    def keep(trajectory: Trajectory) -> bool:
        return _stands(trajectory) and trajectory.question == by_id[trajectory.question_id].text

    times: list[tuple[int, float]] = []

    async def answer(id_: str, question: Question) -> Trajectory:
        began = time.monotonic()
        with session(id_):
            trajectory = await task.rollout(question, policy, trajectory_id=id_, seed=derive_seed(seed, id_))
        if _stands(trajectory):
            times.append((trajectory.usage.completion_tokens, time.monotonic() - began))
        return trajectory

    await run_owed(
        replace(_RECORDS, keep=keep), path, items, answer,
        total=len(questions) * repeats, in_flight=in_flight, title=title, tolerated=tolerated,
        fewest_refusals=repeats + 1,  # more than one question alone can bring
    )  # fmt: skip
    return times


def asked_questions(paths: Iterable[Path]) -> list[Question]:
    """The questions of files of trajectories, each once, in order. A file that does not exist has none."""
    asked = (one for path in paths for one in read_lines(path, _Asked))
    return list(dict.fromkeys(Question(one.question_id, one.question) for one in asked))


def tokens_by_role(task: Task, path: Path) -> dict[str, tuple[int, int]]:
    """The tokens, in and out, of the policy and of each other model that the task asked, in a file of trajectories."""
    prompts: Counter[str] = Counter()
    outputs: Counter[str] = Counter()
    for trajectory in read_lines(path, Trajectory):
        for role, (prompt, output) in with_policy(task.roles(trajectory), trajectory.usage).items():
            prompts[role] += prompt
            outputs[role] += output
    return {role: (prompts[role], outputs[role]) for role in {"policy": None, **prompts}}


def page_counts(path: Path, title: str) -> dict[str, int]:
    """How many results in a file of trajectories show their page, and how many the engine's snippet because the page
    could not be read; empty without `agent.read_pages`. Says so if these are more than a tenth."""
    trajectories = read_lines(path, Trajectory)
    pages = Counter(f"pages_{hit.page}" for one in trajectories for step in one.steps for hit in step.hits if hit.page)
    if (unread := pages["pages_unread"]) > TOLD_FROM * pages.total():
        say(
            f"note: {title}: the pages of {unread} of {pages.total()} results could not be read, so the engine's "
            "snippets were shown; compare only runs with similar shares (pages_unread in summary.json)"
        )
    return {name: pages[name] for name in ("pages_read", "pages_unread")} if pages else {}


class _Asked(msgspec.Struct):
    """The fields of a trajectory that tell its question."""

    id: str
    question_id: str
    question: str


def _outside_error(trajectory: Trajectory) -> str | None:
    fault = trajectory.fault
    return fault.message if fault is not None and fault.whose == "outside" else None


def _first_answer(trajectory: Trajectory) -> Iterator[str | None]:
    """One entry for the first call to the policy, if there was one, for remote.failures.refusals."""
    if trajectory.fault is None or trajectory.steps:
        yield ACCEPTED
    elif not trajectory.fault.message.startswith(NOT_ASKED):
        yield LOST if trajectory.fault.whose == "outside" else trajectory.fault.message


def _stands(trajectory: Trajectory) -> bool:
    """Whether the trajectory is final: an error of the model is a result, an external error is not."""
    return _outside_error(trajectory) is None


_RECORDS = StageRecords(
    Trajectory,
    noun="trajectories",
    role="policy",
    outside_error=_outside_error,
    answers=_first_answer,
    failed=lambda trajectory: trajectory.fault is not None,
)


def in_order(questions: Sequence[str], repeats: int) -> Iterator[str]:
    """Trajectory ids in their canonical order: by question, then by repeat."""
    for question in questions:
        for repeat in range(repeats):
            yield f"{question}.{repeat}"

"""Many trajectories at once, into one file, resumable.

    tally = await roll_out(agent, questions, path, repeats=2, seed=7, in_flight=64)

Each trajectory is on disk the moment it ends. What outside faults cost is taken out of the file and done again on
the next call; everything else is never repeated. Nothing grows with the number of finished trajectories but a set of
their ids. Not here: what one trajectory does (search_agent), and what a stage reports (grow, evaluate).
"""

from collections.abc import Sequence
from pathlib import Path

from rest_react.agent.search_agent import SearchAgent, answer_question
from rest_react.console import progress
from rest_react.errors import StageIncomplete
from rest_react.records import Question, Trajectory, derive_seed
from rest_react.remote import together
from rest_react.store import JsonLines, in_order

TRAJECTORIES = "trajectories.jsonl"


async def roll_out(
    agent: SearchAgent,
    questions: Sequence[Question],
    path: Path,
    *,
    repeats: int,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float = 0.0,
) -> None:
    """Brings `path` to one trajectory per question and repeat, in their canonical order.

    Raises StageIncomplete when outside faults are left on more than the `tolerated` share of the trajectories.
    """
    log = JsonLines(path, Trajectory)
    done = log.resume(keep=lambda trajectory: trajectory.fault is None or trajectory.fault.whose == "model")
    order = list(in_order([question.id for question in questions], repeats))
    by_id = {question.id: question for question in questions}
    owed = (id_ for id_ in order if id_ not in done)
    outages: list[str] = []

    with progress(title, total=len(order), done=len(done)) as advance:

        async def worker() -> None:
            for id_ in owed:
                question = by_id[id_.rpartition(".")[0]]
                trajectory = await answer_question(agent, question, trajectory_id=id_, seed=derive_seed(seed, id_))
                log.append(trajectory)
                if trajectory.fault is not None and trajectory.fault.whose == "outside":
                    outages.append(trajectory.fault.message)
                advance(note=f"{len(outages)} outside faults" if outages else "")

        await together(worker() for _ in range(min(in_flight, len(order) - len(done))))
    log.finish(order)
    if len(outages) > tolerated * len(order):
        raise StageIncomplete(
            f"{title}: {len(outages)} of {len(order)} trajectories failed from outside, e.g. {outages[-1]}\n"
            "The others are kept. Run the same command again to do these, or set tolerate_outside_faults to go on."
        )

"""Measures every signal that needs no label against gold: on the trajectories of a Grow, and on its mixed steps.

    python -m benchmarks.signals --run outputs/default outputs/wiki --iteration 1

For each run one table of trajectories: AUC, and precision and recall of the trajectories that the signal keeps (its own
filter; without one, the better half), and two tables of mixed steps, whose samples are right and wrong: the share of
right choices, and the AUC within a step. All intervals are 95% and by question. Reading by models takes most of the
time; what they read is kept in --output, so an interrupted command resumes. --no-models leaves those scores out. --ask
adds the reward model of the settings given with it, e.g. --ask improve.reward=options; with reward_model=trained, the
judge of steps that the run has trained, and with improve.keep_trajectories=judged_good or judged_better beside it
the judge of answers. A run whose filter asked a reward model has a row with the verdicts that it gave. --kinds leaves
out other kinds of questions: of those that ask which of two things came first, half of the answers are right by chance.

Not here: the scores (trajectory_scores, scores), gold (labelled_run, gold), and training on any of it.
"""

import argparse
import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.asked import Said, about_steps, about_trajectories, ask, order_scores
from benchmarks.detection import Detection, Estimate, detection, top_half
from benchmarks.gold import JudgedStep
from benchmarks.labelled_run import LabelledRun, labelled_run
from benchmarks.own_verdicts import own_verdicts
from benchmarks.scores import Reader, Scores, ensemble, likelihood, majority, perplexity, rules
from benchmarks.selection import Choices, right_choices, table
from benchmarks.trajectory_scores import TrajectoryScores, rank_sum, read_scores, read_verdicts, recorded_scores
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.settings import SameModel, Settings, TrainedModel
from rest_react.errors import UsageError
from rest_react.selection.filters import usable_candidates
from rest_react.selection.judge_trajectory import left_out_by
from rest_react.selection.trajectory_filters import JUDGE_ANSWERS, TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.stages.choose_model import weights_of_iteration
from rest_react.stages.judge.outcome_judge import WEIGHTS
from rest_react.storage.files import file_digest, make_folder, write_file
from rest_react.tasks.search_qa.judging.evidence import evidence_of
from rest_react.tasks.search_qa.step import parse_step
from rest_react.trajectories.parsed import ParsedTrajectory
from rest_react.weights import resolve_weights

# The filter of the package that a signal stands behind, where it has one.
FILTERS = {
    "agreement": "agreeing", "cross-fitted agreement": "cross_fitted", "reconstruction": "reconstructable",
    "support": "supported", "corroboration": "corroborated",
}  # fmt: skip
READ_FILTERS: Mapping[str, KeepTrajectories] = {
    "question given evidence": "cycle_consistent", "evidence removal": "evidence_needed",
}  # fmt: skip
TWO_HOPS = 2  # passages that a question of the built-in world, HotpotQA or 2WikiMultihopQA needs at least
RANK_SUMS = (
    ("answer likelihood", "agreement"),
    ("answer likelihood", "reconstruction"),
    ("agreement", "support"),
    ("answer likelihood", "question given answer"),
    ("agreement", "question given evidence"),
    ("agreement", "answer likelihood", "question given answer"),
    ("agreement", "reward model"),
)


def main() -> None:
    """Prints the tables as Markdown, and writes them with their numbers into --output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="run folders")
    parser.add_argument("--iteration", type=int, default=1, help="the iteration whose Grow is measured")
    parser.add_argument("--passages", nargs="*", default=(), help="columns with the ids of the gold passages")
    parser.add_argument("--kinds", nargs="*", default=(), help="kinds of questions; default: all")
    parser.add_argument("--no-models", action="store_true", help="leave out scores that a model must read for")
    parser.add_argument("--untuned", help="weights of the untuned model; default: the run's own policy.model")
    parser.add_argument("--ask", nargs="*", metavar="OVERRIDE", help="ask the reward model with these settings too")
    parser.add_argument("--output", type=Path, default=Path("outputs/signals"))
    arguments = parser.parse_args()
    make_folder(arguments.output)
    for root in arguments.run:
        run = labelled_run(root, arguments.iteration, arguments.passages, arguments.kinds)
        readers = None if arguments.no_models else readers_of(run, arguments.untuned, arguments.output)
        judged = asyncio.run(run.judged_steps())
        mixed = [step for step in judged if step.mixed]
        opinions = None if arguments.ask is None else asked(run, mixed, arguments.ask, arguments.output)
        half = "improve.keep_trajectories=judged_better" in (arguments.ask or ())
        found = measured(run, readers, {} if opinions is None else opinions.trajectories, judged_half=half)
        steps = {"reward model": order_scores(opinions.steps)} if opinions is not None and opinions.steps else {}
        text = f"{trajectory_table(run, found)}\n\n{step_tables(judged, mixed, readers, steps)}\n"
        if opinions is not None and opinions.steps:
            scored = sum(bool(opinions.steps.get(step.id)) for step in mixed)
            text += f"\nThe reward model scored {scored} of {len(mixed)} mixed steps; perplexity orders the others.\n"
        print(text, flush=True)
        name = arguments.output / "_".join([root.name, str(arguments.iteration), *arguments.kinds])
        write_file(name.with_name(f"{name.name}.md"), text)
        figures = {signal: asdict(figure) for signal, figure in found.items()}
        write_file(name.with_name(f"{name.name}.json"), json.dumps(figures, indent=1))


def readers_of(run: LabelledRun, untuned: str | None, output: Path) -> tuple[Reader, Reader]:
    """The untuned model, and the policy that made the trajectories, each with its cache."""
    weights = resolve_weights(untuned or str(run.settings["policy.model"]))
    tuned = weights_of_iteration(run.folder.stage(run.iteration - 1))
    return _reader(weights, output), _reader(tuned or weights, output)


def _reader(weights: Path | str, output: Path) -> Reader:
    """A reader whose cache is named by its weights, so that other weights under the same name are read anew."""
    parts = sorted(Path(weights).glob("*.safetensors")) if Path(weights).is_dir() else []
    names = [file_digest(part) for part in parts] or [str(weights)]
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    return Reader(weights, output / f"read_by_{digest}.jsonl")


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the reward model said: scores of trajectories by their id, none for a trained judge; scores of steps."""

    trajectories: Said
    steps: Said


def asked(run: LabelledRun, mixed: Sequence[JudgedStep], overrides: Sequence[str], output: Path) -> Opinions:
    """Asks the reward model with these settings about the finished trajectories and the mixed steps."""
    keeps = {f"improve.keep_trajectories={name}" for name in JUDGE_ANSWERS}
    of_answers = "reward_model=trained" in overrides and not keeps.isdisjoint(overrides)
    settings = compose(overrides if of_answers else ["improve.selector=reward_model", *overrides])
    if isinstance(settings.reward_model, (SameModel, TrainedModel)):
        refuse_another_policy(settings, run)
    trained = isinstance(settings.reward_model, TrainedModel)
    if not trained:
        settings = compose(["improve.selector=reward_model", "improve.keep_trajectories=judged_good", *overrides])
        if settings.improve.keep_trajectories not in JUDGE_ANSWERS:
            raise UsageError(
                f"--ask: improve.keep_trajectories={settings.improve.keep_trajectories} does not ask whether an answer "
                f"is right; give one of {', '.join(sorted(JUDGE_ANSWERS))}, or leave it out. A run with that filter "
                "has a row of its own verdicts already"
            )
    parts = Parts(settings, run.folder)
    parsed = [ParsedTrajectory(one, tuple(map(parse_step, one.steps))) for one in run.finished]
    stage = run.folder.stage(0, "outcome_judge", WEIGHTS) if of_answers else run.folder.stage(0, "judge")
    of_judge = [file_digest(part) for part in sorted(stage.glob("model/*.safetensors"))] if trained else []
    named = repr((str(run.folder.root), sorted(overrides), parts.prompts.digests()["judge_prompts"], of_judge))
    digest = hashlib.sha256(named.encode()).hexdigest()[:12]

    async def ask_both() -> Opinions:
        steps = await ask(parts, {} if of_answers else about_steps(mixed), output / f"asked_steps_{digest}.jsonl")
        requests = {} if trained and not of_answers else about_trajectories(parsed)
        return Opinions(await ask(parts, requests, output / f"asked_trajectories_{digest}.jsonl"), steps)

    return asyncio.run(ask_both())


def refuse_another_policy(settings: Settings, run: LabelledRun) -> None:
    """Raises UsageError if the judge follows the policy, and the policy of these settings is not the run's."""
    given, own = getattr(settings.policy, "model", None), run.settings.get("policy.model")
    if given != own:
        raise UsageError(
            f"--ask: the reward model is the policy's model, which is {own} in {run.folder.root} and {given} in these "
            "settings; give the run's policy too: --ask policy=<name> policy.model=<model> ..."
        )


def measured(
    run: LabelledRun, readers: tuple[Reader, Reader] | None, said: Said, *, judged_half: bool = False
) -> dict[str, Detection]:
    """The figures of every signal on the finished trajectories; `said` has the reward model's scores by their id, which
    keep what it does not call bad or, with `judged_half`, the better half."""
    parsed = [ParsedTrajectory(one, tuple(map(parse_step, one.steps))) for one in run.finished]
    scores = recorded_scores(parsed) | ({} if readers is None else read_scores(parsed, readers[0]))
    if said:
        scores["reward model"] = [next(iter(said.get(one.id, ())), None) for one in run.finished]
    for members in RANK_SUMS:
        if all(any(score is not None for score in scores.get(member, ())) for member in members):
            scores[" + ".join(members)] = rank_sum(*(scores[member] for member in members))
    right = [run.right(one) for one in run.finished]
    questions = [one.question_id for one in run.finished]
    read = {} if readers is None else {n: kept_by_reading(k, parsed, readers[0]) for n, k in READ_FILTERS.items()}
    figures = {}
    for name, values in scores.items():
        kept = read.get(name) or kept_by(name, values, parsed, judged_half=judged_half)
        figures[name] = detection(values, right, kept, questions)
    band = _filtered("agreeing_in_band", parsed)
    figures["agreement, in band"] = detection(scores["agreement"], right, band, questions)
    if own := own_verdicts(run):
        figures[f"{own.keep}, the verdicts of the run"] = detection(own.scores, right, own.kept, questions)
    return figures


def kept_by(
    name: str, values: TrajectoryScores, parsed: Sequence[ParsedTrajectory], *, judged_half: bool = False
) -> list[bool]:
    """The verdicts of a signal: those of its filter; for rules and checks, what passes; for passages, two or more; for
    the reward model, those of `judged_good` or, with `judged_half`, of `judged_better`; else the better half."""
    if name in FILTERS:
        return _filtered(FILTERS[name], parsed)
    passing = {"rules": 0.0, "checks pass": 1.0}
    if name == "reward model":  # as in Improve, a trajectory without a verdict is kept
        known = [value for value in values if value is not None]
        least = median(known) if judged_half and known else None
        return [value is None or (value > 0 if least is None else value >= least) for value in values]
    if name == "passages selected":
        return [value is not None and value >= TWO_HOPS for value in values]
    if name in passing:
        return [value == passing[name] for value in values]
    return top_half(values)


def kept_by_reading(keep: KeepTrajectories, parsed: Sequence[ParsedTrajectory], reader: Reader) -> list[bool]:
    """The verdicts of a filter that reads, as Improve would have them with this reader."""
    bad = left_out_by(keep, read_verdicts(keep, parsed, reader))
    return [one.trajectory.id not in bad for one in parsed]


def _filtered(name: str, parsed: Sequence[ParsedTrajectory]) -> list[bool]:
    by_question: dict[str, list[ParsedTrajectory]] = {}
    for one in parsed:
        by_question.setdefault(one.trajectory.question_id, []).append(one)
    keeps = TRAJECTORY_FILTERS[name].keeps  # type: ignore[index]
    verdicts = [keeps([evidence_of(one) for one in group]) for group in by_question.values()]
    return [verdict for group in verdicts for verdict in group]


def trajectory_table(run: LabelledRun, found: Mapping[str, Detection]) -> str:
    """A Markdown table with a row per signal."""
    right = sum(map(run.right, run.finished))
    asked, of = len({one.question_id for one in run.trajectories}), max(len(run.finished), 1)
    ended = f"{len(run.finished)} finished, {right} of these right ({right / of:.0%})"
    lines = [
        f"## {run.name}",
        "",
        f"{len(run.trajectories)} trajectories of {asked} questions, {ended}. {outcomes(run)}",
        "",
        "| signal | scored | AUC | AUC within a question | keeps | precision | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figure in found.items():
        cells = [name, str(figure.scored), _two_digits(figure.auc), _two_digits(figure.auc_within), str(figure.kept)]
        lines.append(f"| {' | '.join([*cells, _percent(figure.precision), _percent(figure.recall)])} |")
    pairs = max((figure.pairs for figure in found.values()), default=0)
    return "\n".join([*lines, "", f"Right and wrong trajectories of one question: {pairs} pairs."])


def outcomes(run: LabelledRun) -> str:
    """How many questions the policy answers right always, never, and at times: only the last leave a choice between
    trajectories. A trajectory that did not finish is not right."""
    by_question: dict[str, list[bool]] = {}
    for one in run.trajectories:
        by_question.setdefault(one.question_id, []).append(one.outcome == "finished" and run.right(one))
    always, solved = sum(map(all, by_question.values())), sum(map(any, by_question.values()))
    never = len(by_question) - solved
    return (
        f"Questions answered right in all their trajectories: {always}; in none: {never}; in some: {solved - always}."
    )


def step_tables(
    judged: Sequence[JudgedStep],
    mixed: Sequence[JudgedStep],
    readers: tuple[Reader, Reader] | None,
    more: Mapping[str, Scores],
) -> str:
    """The tables of mixed steps: shares of right choices, and AUC within a step; `more` are further scores."""
    if not mixed:
        return "No mixed steps: the questions have no gold passages, or no step has both right and wrong samples."
    by_name: dict[str, Scores | None] = {
        "random": None, "perplexity": perplexity, "likelihood": likelihood, "majority": majority, "rules": rules,
    }  # fmt: skip
    if readers is not None:
        by_name |= {"pmi": readers[1].pmi, "rules + pmi": ensemble(rules, readers[1].pmi)}
    by_name |= more
    choices = {name: right_choices(mixed, scores) for name, scores in by_name.items()}
    aucs = {name: step_aucs(mixed, scores) for name, scores in by_name.items()}
    right, ranked = table(judged, mixed, choices), table(judged, mixed, aucs).partition("\n\n")[2]
    return f"{right}\n\nAUC within a step, in percent:\n\n{ranked}"


def step_aucs(mixed: Sequence[JudgedStep], scores: Scores | None) -> Choices:
    """By kind of step (and "all") and question: for each mixed step the share of pairs of a right and a wrong candidate
    in which the right one has the higher score (half for equal ones); a half for None."""
    values: Choices = {}
    for judged in mixed:
        usable = usable_candidates(parse_step(judged.step))
        given = [0.0] * len(usable) if scores is None else scores(judged, usable)
        right = [score for score, i in zip(given, usable, strict=True) if judged.right[i]]
        wrong = [score for score, i in zip(given, usable, strict=True) if not judged.right[i]]
        won = sum((high > low) + (high == low) / 2 for high in right for low in wrong)
        for kind in (judged.step.kind, "all"):
            values.setdefault(kind, {}).setdefault(judged.question_id, []).append(won / (len(right) * len(wrong)))
    return values


def _two_digits(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.0%} [{100 * (estimate.low or 0):.0f}, {100 * (estimate.high or 0):.0f}]"


if __name__ == "__main__":
    main()

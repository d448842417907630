"""The loop. `python -m rest_react.run iteration=3` brings a run to iteration 3, doing only what is missing on disk.

    iteration 0      demonstrate (a small model) or not (a large one) → evaluate: the baseline row
    iteration k      grow → improve → finetune → evaluate
    at the end       report

Running the same command again resumes; there is no flag for it. Configuration is Hydra's: configs/config.yaml holds
every setting. Not here: what a verb does (grow, improve, finetune, evaluate) and which parts there are (build).
"""

from rest_react.start import start

if __name__ == "__main__":  # in front of the imports, see there
    start("rest_react.run")

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from rest_react.build import Parts
from rest_react.config import cli
from rest_react.config.checks import benchmarks_for_testing, load_settings, missing_keys, shared_stages
from rest_react.config.settings import (
    Bm25,
    Grader,
    Model,
    OpenAIModel,
    SameModel,
    Settings,
    Student,
    TransformersModel,
    VllmModel,
)
from rest_react.console import console, say
from rest_react.errors import BudgetReached, ConfigError, RestReactError, StageIncomplete, UsageError, disk_errors
from rest_react.forecast.forecast import duration_line, forecast_table, with_speed
from rest_react.metrics.costs import NO_PRICE
from rest_react.protocols import LLM, Tracker
from rest_react.questions import unlabelled
from rest_react.records import Example, ModelRef, Trajectory
from rest_react.report import results_table, write_report
from rest_react.reporting.headline import headlines
from rest_react.reporting.page import loss_curve, tables
from rest_react.reporting.rows import compute_rows
from rest_react.reporting.tracking import Mode, Tolerant, numbers, tracker_mode
from rest_react.seeds import derive_seed
from rest_react.stages.evaluate import evaluate, reopen_unscored
from rest_react.stages.finetune import MODEL, finetune
from rest_react.stages.grow import grow, refuse_overlap
from rest_react.stages.improve import EXAMPLES, Rules, improve, reopen_refused
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.start import run_async
from rest_react.storage.locked_settings import sealed_view
from rest_react.storage.run_folder import (
    LIMITS_OF_JUDGES,
    RunFolder,
    iterations,
    read_lines,
    read_summary,
    replace_lines,
    write_summary,
)
from rest_react.sweep import Ended, sweep
from rest_react.tasks.search_qa.states import exemplar_rows


class Loop:
    """One run: its parts, its folder, and the verbs bound to them."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts, self.folder = settings, parts, parts.folder
        self.said: set[str] = set()
        self.unreachable: list[str] = []  # why the tracker takes nothing
        self.grow_set = parts.grow_questions()
        self.benchmarks = {name: parts.questions(source) for name, source in settings.evaluate.benchmarks.items()}
        asked = {name: unlabelled(benchmark.labelled) for name, benchmark in self.benchmarks.items()}
        grown, allowed = unlabelled(self.grow_set.labelled), settings.grow.allow_overlap
        for note in refuse_overlap(grown, asked, allowed, benchmarks_for_testing(settings)):
            say(f"note: {note}")

    def contents(self) -> dict[str, str]:
        """What the question sets and the corpus hold, which may change though their paths stay."""
        sets = {"grow.questions": self.grow_set} | {f"evaluate.{name}": one for name, one in self.benchmarks.items()}
        found = {name: one.digest() for name, one in sets.items()}
        if isinstance(self.settings.search, Bm25) and self.settings.search.corpus != "questions":
            with Path(self.settings.search.corpus).open("rb") as corpus:
                found["search.corpus"] = hashlib.file_digest(corpus, "sha256").hexdigest()[:16]
        return found

    async def bring_to(self, iteration: int) -> None:
        """Does every stage up to `iteration` that is not complete yet."""
        if self.settings.grow.reuse is not None:
            self.take_over(RunFolder(self.folder.root.parent / self.settings.grow.reuse))
        model = self.parts.starting_model()
        policy = self.parts.policy(model)
        try:
            for k in range(iteration + 1):
                if k > 0 or self.settings.start == "demonstrations":
                    await self.gather(k, policy, model)
                    await policy.aclose()
                    model = await self.learn(k, model)
                    policy = self.parts.policy(model)
                await self.examine(k, policy, model)
                if self.track(k) or k == iteration:
                    show_results(self.folder, smoke=self.settings.smoke)
        finally:
            await policy.aclose()

    def take_over(self, source: RunFolder) -> None:
        """Has what `source` finished and this run would only do again. Raises UsageError where that cannot be."""
        if not source.settings():
            raise UsageError(f"grow.reuse: {source.root} holds no run; name one that lies beside this one")
        differing = source.differing(sealed_view(self.settings))
        s = self.settings
        stages, wrong = shared_stages(differing, s.start, s.iteration, s.grow.reuse_through)
        if wrong:
            told = "".join(f"\n  {key}: {differing[key]}" for key in wrong)
            raise UsageError(f"grow.reuse: nothing of {source.root} would be the same with these settings:{told}")
        for stage in stages:
            own = stage.startswith("iter_0") or stage.endswith("/evaluate")  # done here where it was not done there
            if not own and read_summary(source.root / stage) is None:
                raise UsageError(f"grow.reuse: {source.root}/{stage} is not complete; finish that run first")
        repeats = s.grow.trajectories_per_question
        cut = "grow.trajectories_per_question" in differing and not s.grow.reuse_through
        for stage in stages:
            path = self.folder.root / stage / TRAJECTORIES
            if stage == "iter_1/grow" and cut and not path.exists():
                walks = read_lines(source.root / stage / TRAJECTORIES, Trajectory)
                replace_lines(path, (walk for walk in walks if int(walk.id.rpartition(".")[2]) < repeats))
            else:
                self.folder.take_over(source, stage)
        say(f"taken over from {source.root}: {', '.join(stages)}")

    async def gather(self, k: int, policy: LLM, model: ModelRef) -> None:
        """Grow with the previous iteration's policy; in iteration 0 with the scripted expert, as demonstrations."""
        s, stage = self.settings, self.folder.stage(k, "grow")
        if read_summary(stage) is not None:
            return
        if k == 0:
            llm, tuned, samples, world = self.parts.expert(), True, 1, self.parts.world
            questions, search = world.demonstrations, self.parts.closed_search(world.passages)
        else:
            llm, tuned, samples = policy, model.tuned, s.grow.samples
            questions, search = self.grow_set.labelled, self.parts.search(self.grow_set.passages)
        await grow(
            self.parts.agent(llm, search, samples=samples, temperature=s.grow.temperature, tuned=tuned),
            unlabelled(questions),
            stage,
            repeats=s.grow.trajectories_per_question if k else 1,
            seed=derive_seed(s.seed, "grow", k),
            in_flight=s.policy.in_flight,
            prices=self.parts.prices if k else {"policy": NO_PRICE},
            tolerated=s.grow.tolerate_outside_faults,
            title=f"iteration {k}: " + ("grow" if k else "demonstrate"),
        )

    async def learn(self, k: int, model: ModelRef) -> ModelRef:
        """Improve, then finetune; the next model."""
        s = self.settings
        seed = s.seed if k == 0 or s.learning_seed is None else s.learning_seed
        reward_model = self.parts.reward_model() if k else None
        try:
            await improve(
                self.folder.stage(k, "grow") / TRAJECTORIES,
                self.folder.stage(k, "improve"),
                rules=self.parts.rules() if k else Rules("perplexity"),
                reward_model=reward_model,
                seed=derive_seed(seed, "improve", k),
                in_flight=s.policy.in_flight,
                prices=self.parts.prices,
                title=f"iteration {k}: improve",
            )
        finally:
            if reward_model is not None:
                await reward_model.llm.aclose()
        base = self.parts.starting_model() if s.finetune.start_from == "base" else model
        stage = self.folder.stage(k, "finetune")
        seed = derive_seed(seed, "finetune", k) % 2**31
        return await finetune(self.parts.trainer(k), self.examples(k), base, stage, seed=seed)

    def examples(self, k: int) -> Iterator[Example]:
        """What iteration k trains on: its own examples, and demonstrations where the settings mix them in."""
        own: Iterable[Example] = read_lines(self.folder.stage(k, "improve") / EXAMPLES, Example)
        shown: Iterable[Example] = ()
        if k and self.settings.finetune.mix_demonstrations and self.settings.start == "demonstrations":
            shown = read_lines(self.folder.stage(0, "improve") / EXAMPLES, Example)
        if self.settings.demonstrations.exemplars and (k == 0 or self.settings.finetune.mix_demonstrations):
            shown = chain(shown, exemplar_rows(self.parts.prompts))
        return chain(shown, own)

    async def examine(self, k: int, policy: LLM, model: ModelRef) -> None:
        """Evaluate on every benchmark."""
        s = self.settings.evaluate
        grader = self.parts.grader()
        try:
            for name, benchmark in self.benchmarks.items():
                search = self.parts.search(benchmark.passages)
                await evaluate(
                    self.parts.agent(policy, search, samples=s.samples, temperature=s.temperature, tuned=model.tuned),
                    benchmark.labelled,
                    grader,
                    self.folder.stage(k, "evaluate", name),
                    repeats=s.repeats,
                    seed=derive_seed(self.settings.seed, "evaluate", k, name),
                    in_flight=self.settings.policy.in_flight,
                    prices=self.parts.prices,
                    tolerated=s.tolerate_outside_faults,
                    make_room=self.parts.grader_needs_room,
                    title=f"iteration {k}: evaluate {name}",
                )
        finally:
            await grader.aclose()

    def track(self, k: int) -> bool:
        """Sends the iteration's numbers to the tracker, unless this tracker already has them. What it did not take is
        noted, and the next command sends the iteration again. Returns True where the numbers are new to the record."""
        done, s = self.folder.stage(k, "tracking"), self.settings.tracking
        mode, variable = tracker_mode(s.kind, s.mode)
        to = {"tracking": s.kind if mode != "none" else "none", "mode": mode if mode != "none" else s.mode}
        sent = read_summary(done) or {}
        same = mode == "none" or (sent.get("tracking"), sent.get("mode", mode)) == (s.kind, mode)
        if sent and same and not sent.get("problems"):
            return False
        if variable:
            used = "nothing is sent to W&B" if mode == "none" else f"W&B is used {mode}"
            self.say_once(f"note: {variable} is set in the environment: {used}")
        problems = self.unreachable or self.send_to_tracker(k, mode)
        if not problems and mode == "offline":
            self.say_once(f"W&B is offline; send its files with: wandb sync {self.folder.root}/wandb/offline-run-*")
        write_summary(done, to | ({"problems": problems} if problems else {}))
        return not (sent and problems)

    def send_to_tracker(self, k: int, mode: Mode) -> list[str]:
        """Sends iteration k and returns what the tracker did not take. Once it took nothing, or did not finish, it is
        not tried again in this command: each time W&B waits minutes for its server."""
        tracker = Tolerant(self.parts.tracker(k, sealed_view(self.settings), mode))
        send(self.folder, k, tracker)
        taken, problems = tracker.taken, len(tracker.problems)
        tracker.finish()
        if not taken or len(tracker.problems) > problems:
            self.unreachable = tracker.problems
        if tracker.problems:
            what = f"Iteration {k} was sent to W&B only in part" if taken else "Nothing could be sent to W&B"
            say(f"note: {what}: {'; '.join(tracker.problems)}")
            say("The run continues; the same command sends it again.")
        return tracker.problems

    def say_once(self, text: str) -> None:
        """Tells it once a command."""
        if text not in self.said:
            self.said.add(text)
            say(text)


def send(folder: RunFolder, k: int, tracker: Tracker) -> None:
    """An iteration's numbers and its loss curve, each once; samples of what it did; the model that grew, the examples
    that came of it, demonstrations mixed with them, and the model that they made."""
    rows = (row for row in compute_rows(folder.root) if row.iteration == k)
    measured = {f"evaluate/{row.benchmark}": numbers(msgspec.to_builtins(row)) for row in rows}
    for name in ("grow", "improve", "finetune", *measured):
        summary = read_summary(folder.stage(k, *name.split("/")))
        if summary is not None:
            held = numbers(summary) | measured.get(name, {})
            tracker.log(name, {key: value for key, value in held.items() if key not in ("schema", "iteration")})
    if points := loss_curve(folder.stage(k, "finetune")):
        tracker.curve("finetune", "loss", points)
    for name, table in tables(folder.root, k).items():
        if table:
            tracker.table(name, table)
    # Iteration 0 has training rows only where the run began with demonstrations.
    mixed = [(0, "improve")] if k and folder.settings().get("finetune.mix_demonstrations") else []
    for iteration, verb in ((k - 1, "finetune"), *mixed, (k, "improve"), (k, "finetune")):
        stage = folder.stage(iteration, verb)
        if read_summary(stage) is not None:
            names = (EXAMPLES,) if verb == "improve" else (MODEL, "loss.jsonl")
            files = [stage / name for name in names if (stage / name).exists()]
            label, kind = ("examples", "dataset") if verb == "improve" else ("model", "model")
            tracker.artifact(f"{iteration}-{label}", files, kind=kind, used=iteration < k)


def show_results(folder: RunFolder, *, smoke: bool) -> None:
    """Writes the report's files and prints the table."""
    page = write_report(folder.root, smoke=smoke)
    rows = compute_rows(folder.root)
    console.print(results_table(rows))
    for line in headlines(rows):
        say(line)
    for row in rows:
        answers, reasons = row.questions * row.repeats, row.faults
        failed = sum(part.answers for part in reasons.values())
        if failed >= 0.1 * answers:
            told = ", ".join(f"{reason} ({part.answers})" for reason, part in reasons.items())
            say(f"note: iteration {row.iteration}, {row.benchmark}: {failed} of {answers} answers failed: {told}")
        if row.unscored >= 0.1 * answers:
            where = f"iteration {row.iteration}, {row.benchmark}"
            say(f"note: {where}: {row.unscored} of {answers} answers are unscored; results.jsonl gives the reasons")
    say(f"report: {page}")


def reopen_where_limits_changed(folder: RunFolder, settings: Settings) -> None:
    """What a judge's token limit may have spoilt is owed again once that limit alone is another."""
    differing = folder.differing(sealed_view(settings))
    if not set(differing) <= set(LIMITS_OF_JUDGES):
        return
    for k in iterations(folder.root):
        if "improve.max_tokens" in differing:
            reopen_refused(folder.stage(k, "improve"))
        if "evaluate.grader_max_tokens" in differing:
            for stage in folder.stage(k, "evaluate").glob("*/"):
                reopen_unscored(stage)


def run(settings: Settings) -> None:
    """Brings a run to its iteration. Raises RestReactError; what was finished by then stays."""
    folder = RunFolder(cli.output_root(settings) / settings.run)
    parts = Parts(settings, folder)
    prompts = parts.prompts_hash()
    if settings.dry_run:
        console.print(forecast_table(with_speed(settings), folder))
        return
    if missing := missing_keys(settings):
        raise ConfigError(missing)
    loop = Loop(settings, parts)
    with folder.locked():
        reopen_where_limits_changed(folder, settings)
        for change in folder.seal(sealed_view(settings), cli.environment(prompts) | loop.contents()):
            say(f"note: since this run began, {change}")
        folder.check()
        parts.budget.keep_in(folder.root / "spending.json")
        if line := duration_line(settings, folder):
            say(line)
        run_async(loop.bring_to(settings.iteration))
    for student in settings.students:
        run(of_student(settings, student))


def of_student(s: Settings, student: Student) -> Settings:
    """The settings of a student's own run: it learns from what `s` has grown; it may be sampled in its own way."""
    samples = s.evaluate.samples if student.samples is None else student.samples
    temperature = s.evaluate.temperature if student.temperature is None else student.temperature
    return replace(
        s,
        run=f"{s.run}_{student.name}",
        policy=replace(s.policy, model=student.model),
        grader=_named(s.grader, s.policy),
        grow=replace(s.grow, reuse=s.run),
        evaluate=replace(s.evaluate, samples=samples, temperature=temperature),
        students=(),
    )


def _named(grader: Grader, policy: Model) -> Grader:
    """The grader, by its name where it was the `same` as a policy that will be another: all models have one grader."""
    if not isinstance(grader, SameModel) or not isinstance(policy, (TransformersModel, VllmModel, OpenAIModel)):
        return grader
    return replace(policy, mode=grader.mode)


def main() -> None:
    """The command line: checks everything, then hands over to Hydra."""
    sys.argv[1:] = arguments = cli.checked(sys.argv[1:])
    if (folder := cli.sweep_folder(arguments)) is not None:
        raise SystemExit(sweep(job, folder))
    cli.with_hydra(_single)


def job(config: Any) -> Ended:
    """One run, from its composed configuration to how it ended."""
    place = ""
    try:
        with disk_errors():
            settings = load_settings(cli.plain(config))
            place = str(cli.output_root(settings) / settings.run)
            run(settings)
    except (ConfigError, UsageError) as error:
        return Ended(2, place, str(error))
    except StageIncomplete as error:
        return Ended(3, place, str(error))
    except BudgetReached as error:
        return Ended(4, place, str(error))
    except RestReactError as error:
        return Ended(1, place, str(error))
    return Ended(0, place, "")


def _single(config: Any) -> None:
    ended = job(config)
    if ended.status:
        say(ended.message)
        raise SystemExit(ended.status)

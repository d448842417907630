"""Model cards and data cards in the format of the Hugging Face Hub, for each iteration.

    write_cards(Path("outputs/default"), rows, smoke=False, searches=True)    # iter_1/{improve,finetune}/README.md

A card gives the settings and counts behind the model or the training rows; a model card also gives its results.
Not here: uploading to the Hub.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from markupsafe import Markup

from rest_react.records import Example
from rest_react.reporting.page import templates
from rest_react.reporting.results.results_json import ResultRow
from rest_react.reporting.tables.markdown import markdown_table
from rest_react.reporting.tables.results_table import COLUMNS, HEADINGS
from rest_react.stages.choose_model import weights_of_iteration
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.storage.files import write_file
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import iterations
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import read_summary
from rest_react.weights.embedded import EMBEDDED, HUB_TWIN

_Fact: TypeAlias = tuple[str, Any]
# Settings, and counts of Grow and Improve, that a card shows.
_MADE = (
    "policy.model", "seed", "learning_seed", "start", "search.kind", "agent.max_searches", "grow.samples",
    "grow.temperature", "grow.trajectories_per_question", "improve.selector", "improve.keep",
    "improve.keep_trajectories", "improve.likeliest", "improve.rejected_trajectories", "improve.equal_steps",
    "improve.min_passages", "improve.max_examples", "reward_model.kind", "reward_model.model", "improve.reward",
)  # fmt: skip
_MADE_BY_EXPERT = (
    "policy.model", "seed", "start", "search.kind", "agent.max_searches", "world.demonstrations",
    "demonstrations.questions.path", "demonstrations.epochs", "demonstrations.learning_rate",
    "demonstrations.batch_size", "demonstrations.slip", "demonstrations.mistakes", "synthetic.n", "synthetic.judged",
    "teacher.model",
)  # fmt: skip
_COUNTED = ("trajectories", "examples", "steps", "dropped_steps", "steps_with_a_choice", "targets_changed")


def write_cards(run_folder: Path, rows: Sequence[ResultRow], *, smoke: bool, searches: bool) -> None:
    """Writes a card for each iteration's model and one for its training rows. `searches`: whether the task does."""
    settings = read_settings(run_folder)
    for k in iterations(run_folder):
        stage = run_folder / f"iter_{k}"
        improved, tuned = (read_summary(stage / part) for part in ("improve", "finetune"))
        gold = k > 0 and str((improved or {}).get("selector", "")).startswith("gold")  # benchmarks/upper_bound.py
        trained = not 0 < k <= settings.get("grow.reuse_through", 0)  # by this run, with its settings
        taken = k > 0 and (not trained or _is_student(run_folder, settings))
        made = _made(settings, k, gold=gold, taken=taken, searches=searches)
        chosen_by = settings.get("evaluate.choose_by")
        if not trained:
            made = [fact for fact in made if fact[0] != "learning_seed"]
        view = {"name": f"{run_folder.name}-{k}", "iteration": k, "smoke": smoke, "chosen_by": chosen_by, "gold": gold}
        view |= {"teacher": settings.get("teacher.model", "another model") if settings.get("synthetic.n") else ""}
        view |= {"task": settings.get("task.kind"), "searches": searches, "writer": "agent" if searches else "model"}
        if improved is not None:
            _data_card(stage, improved, made, {**view, "taken": taken})
        if tuned is not None:
            how = [(key, value) for key, value in settings.items() if trained and key.startswith("finetune.")]
            _model_card(stage, tuned, [*made, *how], settings, [row for row in rows if row.iteration == k], view)


def _made(settings: Mapping[str, Any], k: int, *, gold: bool, taken: bool, searches: bool) -> list[_Fact]:
    """The settings with which iteration `k` was made. `gold`: gold answers chose its targets; `taken`: its rows were
    made by another run, with settings of its own."""
    made = [(key, settings[key]) for key in (_MADE if k else _MADE_BY_EXPERT) if key in settings]
    if not searches:
        made = [fact for fact in made if not fact[0].startswith(("search.", "agent.", "world."))]
    if gold:  # whatever the settings of Improve
        made = [fact for fact in made if not fact[0].startswith(("improve.", "reward_model."))]
        made.append(("targets chosen by", "gold answers"))
    if "demonstrations.questions.path" in settings:  # the expert answered these, not the built-in world's
        made = [fact for fact in made if fact[0] != "world.demonstrations"]
    if taken:
        made = [fact for fact in made if not fact[0].startswith(("grow.", "improve.", "reward_model."))]
        made.append(("reused from", settings["grow.reuse"]))
    return made


def _data_card(stage: Path, improved: Mapping[str, Any], made: Sequence[_Fact], view: Mapping[str, Any]) -> None:
    """The card of the training rows; what of them was taken from another run has another policy."""
    grown = read_summary(stage / "grow") or {}
    counts = {"trajectories": grown.get("trajectories"), **improved}
    facts = [(key.replace("_", " "), counts[key]) for key in _COUNTED if counts.get(key) is not None]
    facts += [fact for fact in made if not (view["taken"] and fact[0] == "policy.model")]
    kinds = Counter(example.kind for example in read_lines(stage / "improve" / EXAMPLES, Example))
    written = bool(view["iteration"] or view["teacher"])  # by a model
    front = data_front(view["name"], kinds.total(), EXAMPLES, searches=view["searches"], synthetic=written)
    _card("data_card", stage / "improve", front=front, made=facts, kinds=kinds.most_common(), **view)


def _model_card(
    stage: Path,
    tuned: Mapping[str, Any],
    made: Sequence[_Fact],
    settings: Mapping[str, Any],
    rows: Sequence[ResultRow],
    view: Mapping[str, Any],
) -> None:
    """The card of the model, beside its weights if the run has them; `rows` are its results."""
    facts = [("training rows", f"{tuned['examples']:,}"), *made]
    if view["chosen_by"]:
        facts.append(("evaluate.choose_by", view["chosen_by"]))
    chosen = weights_of_iteration(stage) if read_summary(stage / "choose") is not None else None
    weights = chosen or stage / "finetune" / "model"
    front = _model_front(view["name"], str(settings.get("policy.model", "")), rows, searches=view["searches"])
    results = markdown_table(HEADINGS, [[cell(row) for _, cell in COLUMNS] for row in rows])
    reference = tuned["base"] if tuned.get("learns_from") == "preferences" else ""
    folder = weights if weights.is_dir() else stage / "finetune"
    _card("model_card", folder, front=front, made=facts, results=Markup(results), reference=reference, **view)


def _is_student(run_folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the run is a student: it trains on the data of another model."""
    if not settings.get("grow.reuse"):
        return False
    theirs = read_settings(run_folder.parent / settings["grow.reuse"])
    return any(theirs.get(key, value) != value for key, value in settings.items() if key.startswith("policy."))


def _card(template: str, folder: Path, *, front: str, **values: Any) -> None:
    card = templates().get_template(f"{template}.md.j2")
    write_file(folder / "README.md", card.render(front=Markup(front), **values))


def _model_front(name: str, base: str, rows: Sequence[ResultRow], *, searches: bool) -> str:
    """The metadata of a model card (YAML)."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="question-answering" if searches else "text-generation",
            dataset_type=row.benchmark,
            dataset_name=row.benchmark,
            metric_type="accuracy",
            metric_value=round(row.accuracy.mean, 4),
            metric_name=f"accuracy, graded by {row.grader}",
        )
        for row in rows
        if row.accuracy.mean is not None
    ]
    base = HUB_TWIN if base == EMBEDDED else base
    data = ModelCardData(
        model_name=name,
        base_model=base if re.fullmatch(r"[\w.-]+/[\w.-]+", base) and not Path(base).exists() else None,
        license="apache-2.0" if base == HUB_TWIN else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=_tags(searches, synthetic=searches),
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _tags(searches: bool, synthetic: bool) -> list[str]:
    """`synthetic`: a model or a script wrote the texts."""
    return ["rest-react", *["search-agent"] * searches, "self-improvement", *["synthetic"] * synthetic]


def data_front(name: str, rows: int, data_files: str, *, searches: bool, synthetic: bool) -> str:
    """The metadata of a data card (YAML), with the files that hold the rows."""
    from huggingface_hub import DatasetCardData

    sizes = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    data = DatasetCardData(
        pretty_name=name,
        task_categories=["text-generation"],
        size_categories=[next((size for limit, size in sizes.items() if rows < limit), "1M<n<10M")],
        configs=[{"config_name": "default", "data_files": data_files}],
        tags=_tags(searches, synthetic=searches or synthetic),
    )
    return str(data.to_yaml())

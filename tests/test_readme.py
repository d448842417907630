"""The README and the pages it leads to say what is so: every command, setting, path, field and module in them."""

import asyncio
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import msgspec
import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.metrics.number_formats import number, percent, points, span
from rest_react.questions import read_corpus, read_questions
from rest_react.records import (
    Candidate,
    Example,
    Fault,
    Hit,
    JudgedPair,
    JudgePairs,
    ModelRef,
    OptionRanking,
    Preference,
    Ranking,
    Result,
    Step,
    Trajectory,
    TrajectoryVerdict,
    Usage,
    Verdict,
)
from rest_react.reporting.results.results_json import ResultRow, Results
from rest_react.reporting.results.rows import compute_rows
from rest_react.stages.evaluate import evaluate
from rest_react.stages.finetune import finetune
from rest_react.stages.grow import grow
from rest_react.stages.improve.improve import improve
from rest_react.stages.synthesise import WrittenText
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.locked_settings import UNLOCKED
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.search_qa.world import build_world

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
RUN_FOLDER = (ROOT / "docs" / "run_folder.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GPU_CHECK = ROOT / "scripts" / "gpu_check.sh"
# What a README may tell a reader to do that is not this project's own.
OTHERS = ("export", "source .venv/bin/activate", "python3 -m venv", "~/vllm/bin/pip install vllm")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of the same or a higher level."""
    level = heading.index(" ")
    (body,) = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#{{2,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(body)


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def commands(page: str = README) -> list[str]:
    """The commands of the bash blocks, without comments, one a line."""
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line) for line in lines)
    return [command.strip() for line in bare for command in line.split("&&") if command.strip()]


def ours(module: str, page: str = README) -> list[list[str]]:
    """The arguments of each `python -m` command of ours."""
    found = [shlex.split(os.path.expandvars(c)) for c in commands(page) if c.startswith(f"python -m {module} ")]
    return [words[3:] for words in found]


@pytest.fixture
def local_folders(tmp_path: Path) -> dict[str, str]:
    """Folders of the README's own file format, under the names that the README gives them."""
    lines = dict(line.split(None, 1) for line in "".join(blocks(README, "json")).splitlines())
    folders = {name: tmp_path / name.strip("<>") for name in ("<folder>", "<other-folder>")}
    for folder in folders.values():
        folder.mkdir()
        for file, line in lines.items():
            (folder / file).write_text(line + "\n", encoding="utf-8")
    texts = folders["<texts>"] = tmp_path / "texts"
    texts.mkdir()
    for part in ("train", "validation"):
        rows = [
            {"text": f"{part} {i}: a late {label} payment", "label": label}
            for i in range(50)
            for label in ("loan", "card")
        ]
        (texts / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {name: str(folder) for name, folder in folders.items()}


def filled(words: list[str], folders: dict[str, str]) -> list[str]:
    for placeholder, folder in folders.items():
        words = [word.replace(placeholder, folder) for word in words]
    return words


def test_the_readme_starts_with_the_three_commands() -> None:
    assert [command.split()[:2] for command in commands()[:3]] == [["make", "smoke"], ["make", "run"], ["make", "test"]]


def test_every_command_is_of_a_known_kind() -> None:
    modules = tuple(f"python -m rest_react.{name} " for name in ("run", "ask", "report", "export"))
    known = ("make ", *modules, "scripts/", "wandb sync ", *OTHERS)
    assert [command for command in commands() if not command.startswith(known)] == []


def test_every_run_command_composes(local_folders: dict[str, str]) -> None:
    pages = (README, (ROOT / "docs" / "servers.md").read_text(encoding="utf-8"))
    runs = [words for page in pages for words in ours("rest_react.run", page) if words != ["--help"]]
    composed = [compose(filled(words, local_folders)).run for words in runs]
    assert {"default", "mine", "paper_gpu", "paper_openai", "nebius", "gemini", "ollama"} <= set(composed)


def test_every_ask_command_names_one_question_that_the_default_world_can_answer() -> None:
    for question, *overrides in ours("rest_react.ask"):
        w = compose(overrides).world
        sizes = {"passages": w.passages, "demonstrations": w.demonstrations, "train": w.train}
        world = build_world(w.seed, **sizes, evaluation=w.evaluation)
        assert question in [labelled.question.text for labelled in world.evaluation]


def test_every_make_target_exists() -> None:
    targets = {c.split()[1] for c in [*commands(), *quoted(README)] if re.fullmatch(r"make [a-z]+( .*)?", c)}
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for target in targets:
        planned = subprocess.run(
            ["make", "-n", target], cwd=ROOT, env=alone, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr
    assert {"run", "test", "smoke"} <= targets


def test_every_script_exists_and_can_be_read() -> None:
    for script in {c.split()[0] for c in commands() if c.startswith("scripts/")}:
        assert os.access(ROOT / script, os.X_OK)
        reader = [sys.executable, "-m", "py_compile"] if script.endswith(".py") else ["bash", "-n"]
        subprocess.run([*reader, script], cwd=ROOT, check=True)


def test_the_command_of_the_tracker_is_installed() -> None:
    assert any(command.startswith("wandb sync ") for command in commands())
    assert "wandb" in {script.name for script in importlib.metadata.entry_points(group="console_scripts")}


def overrides() -> list[str]:
    rows = [line for line in section(README, "## Change one thing").splitlines() if line.startswith("| ")]
    return [quoted(row.split("|")[2])[0] for row in rows[1:]]


@pytest.mark.parametrize("override", overrides())
def test_every_override_of_the_table_changes_the_settings(override: str) -> None:
    assert compose(["run=mine", *override.split()]) != compose(["run=mine"])


def test_the_example_of_the_file_format_can_be_read(local_folders: dict[str, str]) -> None:
    folder = Path(local_folders["<folder>"])
    questions, passages = read_questions(folder / "questions.jsonl"), read_corpus(folder / "corpus.jsonl")
    assert [q.answers for q in questions] == [("George Eliot", "Mary Ann Evans")]
    assert [p.title for p in passages] == ["Middlemarch"]


def test_every_path_of_the_tree_exists() -> None:
    inside, missing = ROOT, []
    for line in blocks(section(ARCHITECTURE, "## The tree"), "")[0].splitlines():
        names = re.split(r" {3,}", line.strip())[0].split()
        parent = inside if line.startswith("  ") else ROOT
        missing += [name for name in names if not (parent / name).exists()]
        if not line.startswith("  "):
            inside = ROOT / names[0]
    assert missing == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/ablations.md",
        "docs/architecture.md",
        "docs/data_formats.md",
        "docs/extending.md",
        "docs/log.md",
        "docs/metrics.md",
        "docs/run_folder.md",
        "docs/servers.md",
        "docs/results/README.md",
        "benchmarks/README.md",
    ],
)
def test_every_link_between_pages_works(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(((?!https?://)[^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


def test_the_result_table_shows_a_run_whose_numbers_are_in_the_docs() -> None:
    page = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    results = re.search(
        r"^## Three iterations$.*?<!-- results -->\n(.+?)<!-- /results -->", page, re.DOTALL | re.MULTILINE
    )
    assert results is not None
    _, rule, *lines = results[1].splitlines()
    assert set(rule) <= set("| -")
    run, control = (
        msgspec.json.decode((ROOT / "docs" / "results" / f"{name}.json").read_bytes(), type=Results).rows
        for name in ("embedded_full", "embedded_control")
    )
    held = [*((str(row.iteration), row) for row in run), *(("control", row) for row in control)]
    assert lines == [f"| {' | '.join(table_cells(name, row))} |" for name, row in held]


def test_the_example_of_the_published_results_gives_the_difference_that_it_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    (example,) = blocks(page, "python")
    monkeypatch.chdir(ROOT)
    exec(example, {})  # noqa: S102
    mean, low, high = (float(number) for number in re.findall(r"(?:mean|low|high)=([\d.]+)", capsys.readouterr().out))
    assert f"# {points(mean)} points [{points(low)}, {points(high)}]" in example


def test_the_example_of_the_library_prints_a_row_of_each_iteration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks(section(ARCHITECTURE, "## As a library"), "python")
    monkeypatch.chdir(tmp_path)
    exec(example, {})  # noqa: S102
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if re.match(r"\d world 0\.\d", line)]
    assert rows == [["0", "world"], ["1", "world"]]


def table_cells(iteration: str, row: ResultRow) -> list[str]:
    change = row.vs_start
    against = f"{points(change.mean)} {span(change, '+')}" if change else ""
    return [iteration, percent(row.accuracy.mean), span(row.accuracy), against, number(row.searches, 1)]


def test_every_benchmark_has_a_command_that_its_module_understands() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\| `python -m benchmarks\.(\w+)(.*?)` \|", page, re.MULTILINE)
    sources = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py")}
    assert {name for name, _ in commands} == {name for name, source in sources.items() if "ArgumentParser" in source}
    for name, given in commands:
        options = [word for word in shlex.split(given) if word.startswith("--")]
        assert [option for option in options if f'"{option}"' not in sources[name]] == [], name
        compose([word for word in shlex.split(given) if "=" in word])


def test_untested_commands_are_marked() -> None:
    assert "Not yet run on a GPU" in section(README, "### GPUs")
    assert "Not yet run against the real services" in section(README, "### Hosted models")


# ── docs/run_folder.md ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("record", "base"), [(Preference, Example), (OptionRanking, Ranking)])
def test_a_record_with_more_fields_than_another_is_documented_by_these(record: type, base: type) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(RUN_FOLDER, f"### {record.__name__}"), re.MULTILINE)
    assert [field.name for field in fields(base)] + rows == [field.name for field in fields(record)]


@pytest.mark.parametrize(
    "record",
    [
        Trajectory,
        Step,
        Candidate,
        Hit,
        Fault,
        Usage,
        Ranking,
        TrajectoryVerdict,
        WrittenText,
        JudgePairs,
        JudgedPair,
        Example,
        ModelRef,
        Result,
        Verdict,
    ],
)
def test_every_field_of_a_record_is_documented_in_order(record: type) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(RUN_FOLDER, f"### {record.__name__}"), re.MULTILINE)
    assert rows == [field.name for field in fields(record)]


class Untaught:
    """A trainer that gives the base back."""

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        return base


def summaries(folder: RunFolder) -> Iterator[tuple[str, list[str]]]:
    """The keys of each stage's summary, from stages with next to nothing to do."""
    parts = Parts(compose(["experiment=smoke"]), folder)
    task = parts.task(parts.question_sets.world.passages)
    policy = parts.policy(parts.expert(), samples=1, temperature=0.0, tuned=True)
    stages = {name: folder.stage(1, name) for name in ("grow", "improve", "finetune", "evaluate")}
    few = {"seed": 0, "in_flight": 1, "prices": parts.prices}
    asyncio.run(grow(task, policy, [], stages["grow"], repeats=1, **few))
    trajectories = stages["grow"] / "trajectories.jsonl"
    asyncio.run(improve(task, trajectories, stages["improve"], rules=parts.rules(), reward_model=None, **few))
    example = Example("t.0.0", "t.0", 0, "decide", "state", "completion", "perplexity")
    asyncio.run(finetune(Untaught(), [example], parts.starting_model(), stages["finetune"], seed=0))
    asyncio.run(evaluate(task, policy, [], parts.judges.grader(), stages["evaluate"], repeats=1, **few))
    for name, stage in stages.items():
        yield name, sorted(set(read_summary(stage) or {}) - {"schema", "seconds"})


def test_every_key_of_a_summary_is_documented(tmp_path: Path) -> None:
    rows = [quoted(line) for line in section(RUN_FOLDER, "## Summaries").splitlines() if line.startswith("| `")]
    documented = {stage: sorted(keys) for stage, *keys in rows}
    assert documented == dict(summaries(RunFolder(tmp_path)))


def test_every_key_of_results_json_is_documented(tmp_path: Path) -> None:
    stage = tmp_path / "iter_0" / "evaluate" / "world"
    right = Verdict("correct")
    replace_lines(
        stage / "results.jsonl",
        [Result("q.0", "q", "", None, "finished", None, "a", "a", right, right, 1.0, 1.0, 1, 6, 90)],
    )
    write_summary(stage, {"grader": "rule", "questions": 1, "repeats": 1, "seconds": 1.0})
    (row,) = compute_rows(tmp_path)
    keys, intervals = section(RUN_FOLDER, "## results.json").split(";")
    assert quoted(keys.split("row are")[1]) == list(asdict(row))
    shares = set(asdict(row.accuracy))
    assert shares | set(asdict(row)) >= set(quoted(intervals)) >= shares


def test_every_setting_that_is_not_locked_is_documented() -> None:
    text = section(RUN_FOLDER, "## settings.yaml: the locked settings")
    top, others = text.split("At the top:")[1].split("Of\nthe command")[0].split("any group:")
    groups, training = others.split("Of training:")
    assert quoted(top) + [f"*.{name}" for name in quoted(groups)] + quoted(training) == list(UNLOCKED)


# ── docs/architecture.md ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_floors_are_those_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    checked = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rows = [line for line in section(ARCHITECTURE, "## Floors").splitlines() if re.match(r"\| \d+ ", line)]
    assert [quoted(row) for row in rows] == [re.split(r" [|:] ", layer) for layer in checked]


def test_every_place_to_change_something_exists() -> None:
    rows = [line for line in section(ARCHITECTURE, "## Where to change what").splitlines() if line.startswith("| ")]
    places = [name for row in rows for name in quoted(row) if re.search(r"/|\.py$", name)]
    found = {
        name: any((base / name.replace("*", "answer")).exists() for base in (ROOT, ROOT / "rest_react"))
        for name in places
    }
    assert found == dict.fromkeys(places, True)


# ── scripts/gpu_check.sh ──────────────────────────────────────────────────────────────────────────────────────────────


def gpu_check(
    tmp_path: Path, *words: str, nvidia_smi: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The script where nothing but what it needs can be found, and the given `nvidia-smi`, if any."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    if nvidia_smi:
        (tools / "nvidia-smi").write_text(f"#!/usr/bin/env bash\n{nvidia_smi}\n")
        (tools / "nvidia-smi").chmod(0o755)
    given = {"PATH": str(tools), "PYTHON": sys.executable, "OUTPUT": str(tmp_path / "outputs"), "HOME": str(tmp_path)}
    return subprocess.run(
        [tools / "bash", GPU_CHECK, *words], env=given | environment, capture_output=True, text=True, check=False
    )


def test_the_gpu_check_s_commands_are_valid(tmp_path: Path) -> None:
    checked = gpu_check(tmp_path, CHECK_ONLY="1")
    assert checked.returncode == 0, checked.stderr
    for run in ("gpu_check_smoke", "gpu_check"):
        assert f"remaining stages of {run}" in checked.stdout + checked.stderr


def test_the_gpu_check_refuses_a_misspelt_setting(tmp_path: Path) -> None:
    checked = gpu_check(tmp_path, "wrld.train=4", CHECK_ONLY="1")
    assert (checked.returncode, "did you mean world.train?" in checked.stderr) == (2, True)


@pytest.mark.parametrize(
    ("nvidia_smi", "told"), [("", "there is no nvidia-smi here"), ("exit 6", "nvidia-smi finds no GPU 0")]
)
def test_the_gpu_check_says_when_there_is_no_gpu(tmp_path: Path, nvidia_smi: str, told: str) -> None:
    checked = gpu_check(tmp_path, nvidia_smi=nvidia_smi)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr.startswith(f"gpu_check: {told}")


def test_the_gpu_check_s_table_gives_each_stage_its_time_rate_and_memory(tmp_path: Path) -> None:
    stages = {
        "iter_1/grow": (1000, {"seconds": 8.0, "prompt_tokens": 4000, "completion_tokens": 1600}),
        "iter_1/finetune": (1050, {"seconds": 30.0}),
        "iter_1/improve": (1010, {"seconds": 0.0}),
        "iter_1/evaluate/world": (1060, {"seconds": None, "completion_tokens": 1600}),  # resumed
    }
    for name, (ended, summary) in stages.items():
        write_summary(tmp_path / name, summary)
        os.utime(tmp_path / name / "summary.json", (ended, ended))
    losses = [{"step": 1, "tokens": 90, "seconds": 5.0}, {"step": 2, "tokens": 200, "seconds": 20.0}]
    (tmp_path / "iter_1/finetune/loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in losses))
    # A sample cut short, and one while nothing ran, count for no stage.
    (tmp_path / "gpu_memory.txt").write_text("991 700\n995 2048\n1005 9999\n1030 5000\n1040 [N/A]\n1041")
    *_, table = re.findall(r"<<'EOF'\n(.*?)^EOF$", GPU_CHECK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    made = subprocess.run([sys.executable, "-", tmp_path], input=table, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[2:6] == [
        "| iter_1/grow | 8.0 | 4,000 | 1,600 | 200 | 2,048 |",
        "| iter_1/improve | 0.0 |  |  |  |  |",
        "| iter_1/finetune | 30.0 |  | 200 | 10 | 5,000 |",
        "| iter_1/evaluate/world | resumed |  | 1,600 |  |  |",
    ]

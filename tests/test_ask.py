import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rest_react import ask as module
from rest_react.ask import HELP, main, settings_of_run
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import BudgetReached, OutsideFault, RunFolderError
from rest_react.records import Candidate, Hit, Step, Trajectory, Usage
from rest_react.run import run
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
)
from rest_react.tasks.search_qa.views.conversation import describe, sources
from tests.tasks.completion.test_rows import write_data

# The smoke experiment with nothing to train and no mistakes.
SMOKE = (
    "run=smoke policy=scripted policy.right=1 policy.wrong=0 policy.unparsable=0 policy.empty=0 finetune=dry_run "
    "tracking=none world.passages=200 world.demonstrations=4 world.train=6 world.evaluation=8"
).split()
HOSTILE = "\x1b[31mRed\x1b[0m \u202eReversed\nanswer    forged"


@pytest.fixture(scope="module")
def output() -> Iterator[Path]:
    """What a smoke run left, fine-tuning apart."""
    with tempfile.TemporaryDirectory() as folder:
        run(compose([*SMOKE, "iteration=0", f"output={folder}"]))
        yield Path(folder)


def asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["ask", *arguments])
    try:
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def known_question(output: Path) -> str:
    settings = compose([*SMOKE, f"output={output}"])
    return Parts(settings, RunFolder(output / "smoke")).question_sets.world.evaluation[0].question.text


def step(kind: str = "summarise", *, hits: tuple[Hit, ...] = (), first: int = 0, forced: bool = False) -> Step:
    candidates = () if forced else (Candidate("x", 1, None, "stop", problem="no call found"),)
    return Step(kind, "", candidates, None, forced, hits, first)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [[], ["run=smoke"], ["--verbose"], [" "]])
def test_arguments_other_than_one_question_print_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(capsys, monkeypatch, *words) == (2, HELP + "\n", "")


def test_a_question_without_quotation_marks_is_refused_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "Who is Ada?: several words; put the question in quotation marks\n"
    assert asked(capsys, monkeypatch, "Who", "is", "Ada?", "run=smoke") == (2, "", told)


def test_a_question_may_have_an_equals_sign_before_its_first_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(settings: object, text: str) -> None:
        raise OutsideFault(f"asked: {text}")

    monkeypatch.setattr(module, "ask", ask)
    given = [*SMOKE, f"output={tmp_path}"]
    told = "asked: E=mc2 was published by whom?\n"
    assert asked(capsys, monkeypatch, "E=mc2 was published by whom?", *given) == (3, "", told)
    for setting in ("run=my own run", "agent.prompts=my prompts", "+policy.chat_template_kwargs={a: b}"):
        assert asked(capsys, monkeypatch, setting, *given) == (2, HELP + "\n", "")
    assert asked(capsys, monkeypatch, "Who?", *given, "agnt.prompts=my prompts")[2].startswith("1 problem in the")


def test_the_settings_are_those_of_the_run_s_command_but_for_the_given_ones(tmp_path: Path) -> None:
    given = [f"output={tmp_path}", "run=mine"]
    assert settings_of_run(given) == compose(given)
    command = tmp_path / "mine" / "hydra" / "overrides.yaml"
    command.parent.mkdir(parents=True)
    recorded = ["experiment=smoke", "run='mine'", "llm@reward_model=same", "agent.max_searches=3", "iteration=4"]
    command.write_text("".join(f"- {word}\n" for word in recorded))
    own = ["experiment=smoke", "reward_model=same", "agent.max_searches=3", "iteration=4", *given]
    assert settings_of_run(given) == compose(own)
    others = ["reward_model=tiny", "agent.max_searches=2"]
    assert settings_of_run([*given, *others]) == compose([*own, *others])
    command.write_text("- policy=vllm\n- start=prompted\n")  # a setting that only this group has
    assert settings_of_run([*given, "policy.port=0"]) == compose(
        ["policy=vllm", "start=prompted", *given, "policy.port=0"]
    )


def test_the_words_of_an_experiment_that_needs_them_are_enough_without_a_recorded_command(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    words = ["experiment=classify", f"data={data}", "demonstrations.questions.n=10", "run=x", f"output={tmp_path}"]
    assert settings_of_run(words) == compose(words)


@pytest.mark.parametrize("content", [b"", b"- [", b"run: mine", b"\xff"])
def test_a_damaged_command_of_a_run_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    command = tmp_path / "mine" / "hydra" / "overrides.yaml"
    command.parent.mkdir(parents=True)
    command.write_bytes(content)
    with pytest.raises(RunFolderError, match="is damaged; delete it, and give the settings of the run again"):
        settings_of_run([f"output={tmp_path}", "run=mine"])


def test_help_exits_with_0(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(capsys, monkeypatch, "--help") == (0, HELP + "\n", "")


def test_wrong_settings_are_reported_as_by_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = asked(capsys, monkeypatch, "Who?", "iteration=x", "agnt.select=first")
    assert (code, out) == (2, "")
    assert err.startswith("2 problems in the settings:\n")


def test_a_missing_iteration_is_reported_with_the_command_that_makes_it(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = asked(capsys, monkeypatch, "Who?", *SMOKE, f"output={output}", "iteration=7")
    assert (code, out) == (2, "")
    assert f"{output}/smoke has no model of iteration 7" in err
    assert "python -m rest_react.run run=smoke iteration=7" in err


def test_each_step_and_the_cited_sources_are_printed(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(output.rglob("*"))
    question = known_question(output)
    code, out, err = asked(capsys, monkeypatch, question, *SMOKE, f"output={output}", "iteration=0")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    heads = [line[:10].rstrip() for line in lines if line and not line.startswith(" ")]
    assert heads[:2] == ["thinks", "searches"]
    assert heads[-4:] == ["drafts", "relevance", "grounding", "answer"]
    assert "stops searching" in lines
    assert any(line.startswith("  * [") for line in lines)
    assert "relevance check passed" in lines
    assert "grounding check passed" in lines
    answer = next(i for i, line in enumerate(lines) if line.startswith("answer    "))
    cited = [line.strip() for line in lines[answer + 1 :]]
    assert cited
    assert all(line.startswith("[link_id=") and line.split("]")[0] + "]" in lines[answer] for line in cited)
    assert sorted(output.rglob("*")) == before


def test_a_note_lists_settings_that_differ_from_the_run(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = asked(
        capsys,
        monkeypatch,
        known_question(output),
        *SMOKE,
        f"output={output}",
        "iteration=0",
        "agent.self_checks=false",
    )
    assert code == 0
    note, difference = err.splitlines()
    assert note.startswith("note: ") and f"{output}/smoke" in note
    assert difference == "  agent.self_checks: True in the folder, False now"
    assert "check passed" not in out


def test_a_note_warns_if_the_verifier_chooses_for_other_questions(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, other = known_question(output), "Who wrote Middlemarch?"
    noted = {
        (question, *overrides): "note: agent.select=verified"
        in asked(capsys, monkeypatch, question, *SMOKE, f"output={output}", "iteration=0", *overrides)[2]
        for question, *overrides in (
            (other, "evaluate.samples=2"),
            (other, "evaluate.samples=2", "agent.select=perplexity"),
            (other, "evaluate.samples=1"),
            (known, "evaluate.samples=2"),
        )
    }
    assert [key for key, value in noted.items() if value] == [(other, "evaluate.samples=2")]


def test_the_verifier_is_refused_for_other_benchmarks_before_a_model_is_loaded(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["policy=transformers", "search=http", "+questions@evaluate.benchmarks.b=bamboogle", "iteration=7"]
    code, out, err = asked(capsys, monkeypatch, "Who?", *SMOKE[:1], f"output={output}", *others)
    assert (code, out) == (2, "")
    assert "agent.select: the rules of `verified`" in err
    assert "no model" not in err


def test_text_of_web_pages_is_escaped_on_the_terminal(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poisoned:
        async def search(self, query: str, k: int) -> list[Hit]:
            return [Hit(f"http://{HOSTILE}", HOSTILE, HOSTILE)]

    monkeypatch.setattr(module.Parts, "search", lambda *_: Poisoned())
    code, out, err = asked(capsys, monkeypatch, f"Who? {HOSTILE}", *SMOKE, f"output={output}", "iteration=0")
    assert (code, err) == (0, "")
    assert "\\u001b[31mRed\\u001b[0m \\u202eReversed" in out
    assert not set("\x1b\u202e\r\b") & set(out)
    assert [line for line in out.splitlines() if line.startswith("answer    ")] == [
        line for line in out.splitlines() if "[link_id=1]" in line and line.startswith("answer    ")
    ]


def test_a_failed_trajectory_prints_its_error_and_exits_with_1(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    babbling = ["policy.right=0", "policy.unparsable=1"]
    code, out, err = asked(capsys, monkeypatch, "Who?", *SMOKE, *babbling, f"output={output}", "iteration=0")
    assert code == 1
    assert out.startswith("decide: no sample is usable (")
    assert "\nno answer: no usable sample at step 0 (decide)" in out
    assert "policy.right: 1.0 in the folder, 0.0 now" in err


@pytest.mark.parametrize(("error", "status"), [(OutsideFault("no network"), 3), (BudgetReached("10 USD"), 4)])
def test_a_failure_outside_and_a_spent_budget_have_the_status_that_they_have_in_a_run(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    class Failing:
        async def search(self, query: str, k: int) -> list[Hit]:
            raise error

    monkeypatch.setattr(module.Parts, "search", lambda *_: Failing())
    question = known_question(output)
    code, out, err = asked(capsys, monkeypatch, question, *SMOKE, f"output={output}", "iteration=0")
    assert (code, str(error) in out + err) == (status, True)


def test_ask_runs_as_a_command(output: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "rest_react.ask", known_question(output), *SMOKE, f"output={output}", "iteration=0"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "\nanswer    " in told.stdout


@pytest.mark.parametrize(
    ("seen", "action", "lines"),
    [
        (step("decide", forced=True), None, ["no searches remain"]),
        (step("decide"), None, ["decide: no sample is usable (no call found)"]),
        (step("decide"), Search("who", "why"), ["thinks    why", "searches  who"]),
        (step("decide"), Terminate("enough"), ["thinks    enough", "stops searching"]),
        (step("answer"), Answer("so", "A [link_id=1]."), ["thinks    so", "drafts    A [link_id=1]."]),
        (step("relevance"), CheckAnswer(True, ("fits",)), ["  # fits", "relevance check passed"]),
        (step("grounding"), CheckAnswer(False), ["grounding check not passed"]),
        (step("grounding"), ReviseAnswer("B.", ("uncited",)), ["  # uncited", "grounding check revises: B."]),
        (
            step(hits=(Hit("p1", "One", "first"), Hit("p2", "Two", "second")), first=4),
            LinkSelection("Two it is.", "good", (5,), ("One is not.",)),
            ["    [4] One: first", "  * [5] Two: second", "  # One is not.", "notes     Two it is.", "thinks    good"],
        ),
        (
            step(hits=(Hit("p1", "One", "first"),), first=4),
            LinkSelection("", "bad", ()),
            ["    [4] One: first", "notes     nothing is selected", "thinks    bad"],
        ),
    ],
)
def test_each_step_has_its_lines(seen: Step, action: Action | None, lines: list[str]) -> None:
    assert list(describe(seen, action)) == lines


def test_sources_are_the_cited_hits_only() -> None:
    hits = (Hit("p1", "One", "first"), Hit("p2", "Two", "second"))
    steps = (step(hits=hits, first=1), step(hits=hits, first=11))
    trajectory = Trajectory(
        "q.0", "q", "Who?", "finished", None, steps, "", "It is so [link_id=2] [link_id=11].", Usage()
    )
    assert list(sources(trajectory)) == ["[link_id=2] Two (p2)", "[link_id=11] One (p1)"]


def test_the_model_is_released_also_after_an_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    async def close(_: object) -> None:
        closed.append(True)

    async def fail(*_: object, **__: object) -> Trajectory:
        raise RuntimeError("a bug")

    monkeypatch.setattr("rest_react.tasks.search_qa.scripted.ScriptedLLM.aclose", close)
    monkeypatch.setattr("rest_react.tasks.search_qa.task.answer_question", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(module.ask(compose([*SMOKE, f"output={output}", "iteration=0"]), "Who?"))
    assert closed == [True]

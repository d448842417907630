"""Texts that a teacher writes for each label."""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.config.compose import compose
from rest_react.errors import BudgetReached, ConfigError, ModelFault, OutsideFault, StageIncomplete, UsageError
from rest_react.metrics.prices import NO_PRICE
from rest_react.protocols import LLM
from rest_react.records import Completion, Example, Prompt, Sampling
from rest_react.run import run
from rest_react.selection.opinions import Judgement
from rest_react.stages.synthesise import (
    ITEMS,
    SyntheticSettings,
    WrittenText,
    select_rows,
    shares,
    synthesise,
    written_rows,
)
from rest_react.storage.files import write_file
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary
from tests.clients import Killed
from tests.loopback import Reply, Request, serve
from tests.tasks.completion.test_rows import write_data
from tests.training.hosted.tuning_api import Api

WANTED = {"A": 2, "B": 2}


def written(id_: str, text: str, dropped: str = "") -> WrittenText:
    return WrittenText(id_, id_.partition(".")[0], text, dropped)


def test_of_near_duplicates_the_first_stays_and_the_first_rows_are_balanced() -> None:
    texts = [
        written("A.0", "I was charged twice for one meal in May."),
        written("A.1", "I was charged TWICE  for one meal in May!"),
        written("A.2", "", "empty"),
        written("A.3", "My card was refused at the station."),
        written("A.4", "Nobody sent me the new card that I asked for."),
        written("B.0", "I was charged twice for one meal in May."),
        written("B.1", "The loan was sold to another bank.", "not its label"),
        written("B.2", "My house was sold although I had paid."),
    ]
    rows, counts = select_rows(texts, WANTED, 0.5)
    assert [row["id"] for row in rows] == ["synthetic-A.0", "synthetic-B.2", "synthetic-A.3"]
    assert {label: dict(tally) for label, tally in counts.items()} == {
        "A": {"texts": 5, "rows": 2, "near-duplicates": 1, "empty": 1, "spare": 1},
        "B": {"texts": 3, "rows": 1, "near-duplicates": 1, "not its label": 1},
    }


@given(st.lists(st.tuples(st.sampled_from("AB"), st.text(max_size=30), st.sampled_from(["", "empty"])), max_size=12))
def test_every_text_is_counted_once_and_no_label_has_too_many_rows(given_texts: list[tuple[str, str, str]]) -> None:
    texts = [written(f"{label}.{i}", text, dropped) for i, (label, text, dropped) in enumerate(given_texts)]
    rows, counts = select_rows(texts, WANTED, 0.5)
    assert sum(tally["rows"] for tally in counts.values()) == len(rows)
    assert all(sum(tally.values()) == 2 * tally["texts"] and tally["rows"] <= 2 for tally in counts.values())


def test_the_teacher_sees_the_labels_and_no_text_of_a_data_set(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    api, asked = Api(), []

    def answer(request: Request) -> Reply:
        if "chat" not in request.path:
            return api.answer(request)
        shown = request.json["messages"][-1]["content"]
        said = "Card"
        if "You write texts" in shown:
            asked.append(shown)
            label = re.findall(r'class "(\w+)"', shown)[0]
            said = f"{label} story {len(asked)} about {'abcdefghijklmnopqrstuvwxyz'[len(asked)] * 9}"
            said = f"<think>A {label} story, then.</think>\n{said}"
        elif "GOOD:" in shown:
            said = "GOOD: no" if "story 1 " in shown else "GOOD: yes"
        message = {"role": "assistant", "content": said}
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
        choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(request.json.get("n") or 1)]
        return Reply(200, {"choices": choices, "usage": usage})

    with serve(answer) as server:
        url = f"base_url={server.url}/v1"
        own = ("model=m", url, "api_key_env=null", "logprobs=false", "requests_per_minute=null")
        models = [f"{role}.{one}" for role in ("policy", "teacher", "reward_model") for one in own]
        settings = compose(
            ["experiment=synthetic", f"data={data}", "run=x", "policy=openai", "teacher=openai", "reward_model=openai",
             *models, "synthetic.n=12", "synthetic.spare=0.25", "evaluate.benchmarks.validation.n=6",
             "demonstrations.questions.n=18", "improve.reward=generate", "finetune=hosted", f"finetune.{url}",
             "finetune.api_key_env=null", "finetune.poll_s=0.05", f"output={tmp_path}"]
        )  # fmt: skip
        run(settings)
        requests = len(server.requests)
        run(settings)
        assert len(server.requests) == requests

    texts = [line for split in ("train", "validation") for line in (data / f"{split}.jsonl").read_text().splitlines()]
    assert len(asked) == 15
    assert all(all(label in prompt for label in ("Card", "Loan", "Mortgage")) for prompt in asked)
    held = [json.loads(line)["text"] for line in texts]
    assert not any(text in prompt for text in held for prompt in asked)

    stage = tmp_path / "x" / "iter_0" / "synthetic"
    summary = read_summary(stage)
    assert summary is not None
    assert summary["rows"] == 12
    assert sum(tally.get("not its label", 0) for tally in summary["labels"].values()) == 1
    rows = written_rows(stage)
    examples = list(read_lines(tmp_path / "x" / "iter_0" / "improve" / "examples.jsonl", Example))
    assert [example.completion for example in examples] == [row.answers[0] for row in rows]
    assert not any("think" in row.question.text for row in rows)
    assert all(row.question.text in example.prompt for row, example in zip(rows, examples, strict=True))


class SameForEachLabel:
    """A teacher that writes one text for all labels, and others in later replies."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.asked.append(prompt.text)
        text = "My card was refused." if len(self.asked) <= 2 else f"Another story, number {len(self.asked) ** 9}."
        return [Completion(text, 4, None, "stop", 9)] * n


def test_texts_are_added_where_none_of_a_label_was_left(tmp_path: Path) -> None:
    teacher, rules = SameForEachLabel(), SyntheticSettings(2, 0.0, 0.5, False, 1.0, 32)

    def write(rules: SyntheticSettings) -> None:
        given = (cast(LLM, teacher), "{label}", None, ["A", "B"], tmp_path, rules)
        prices = {"teacher": NO_PRICE, "reward_model": NO_PRICE}
        asyncio.run(synthesise(*given, shown=str, seed=0, in_flight=1, prices=prices))

    with pytest.raises(UsageError, match=r"no text is left of B; .* raise synthetic.spare or .* in another run"):
        write(rules)
    write(replace(rules, spare=1.0))
    assert len(teacher.asked) == 4  # what was written before is kept
    assert [row.answers for row in written_rows(tmp_path)] == [("A",), ("B",)]
    summary = read_summary(tmp_path)
    assert summary is not None and summary["seconds"] is None  # the time of the first texts is not known


def test_after_an_outage_of_the_judge_the_teacher_is_not_asked_again(tmp_path: Path) -> None:
    class Judge:
        outage, killed = True, False

        async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement:
            if self.killed:
                raise Killed
            if self.outage:
                raise OutsideFault("HTTP 503")
            return Judgement(True, Completion("GOOD: yes", 3, None, "stop", 20))

    teacher, judge, rules = SameForEachLabel(), Judge(), SyntheticSettings(2, 0.0, 1.0, True, 1.0, 32)

    def write() -> None:
        given = (cast(LLM, teacher), "{label}", judge, ["A", "B"], tmp_path, rules)
        prices = {"teacher": NO_PRICE, "reward_model": NO_PRICE}
        asyncio.run(synthesise(*given, shown=str, seed=0, in_flight=1, prices=prices))

    with pytest.raises(StageIncomplete):
        write()
    judge.outage, judge.killed = False, True
    with pytest.raises(Killed):
        write()  # the texts file has been opened again, without the texts that are not judged
    judge.killed = False
    write()
    assert len(teacher.asked) == 2
    assert not (tmp_path / "unjudged.jsonl").exists()
    assert list(read_lines(tmp_path / "texts.jsonl", WrittenText)) == [
        WrittenText(f"{label}.0", label, "My card was refused.", "", None, 9, 4, 20, 3) for label in "AB"
    ]


class StoppedJudge:
    """A judge whose call ends the command, and later says yes."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement:
        if self.error is not None:
            raise self.error
        return Judgement(True, Completion("GOOD: yes", 3, None, "stop", 20))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BudgetReached("enough"), "enough"),
        (UsageError("no such model"), "no such model"),
        (ModelFault("too long"), r"reward_model gave no verdict on any of 2 texts \(last error: too long\)"),
    ],
)
def test_texts_whose_judge_ends_the_command_are_not_written_again(tmp_path: Path, error: Exception, told: str) -> None:
    teacher, judge = SameForEachLabel(), StoppedJudge(error)
    rules = SyntheticSettings(2, 0.0, 1.0, True, 1.0, 32)

    def write() -> None:
        given = (cast(LLM, teacher), "{label}", judge, ["A", "B"], tmp_path, rules)
        prices = {"teacher": NO_PRICE, "reward_model": NO_PRICE}
        asyncio.run(synthesise(*given, shown=str, seed=0, in_flight=2, prices=prices))

    with pytest.raises(type(error) if not isinstance(error, ModelFault) else UsageError, match=told):
        write()
    written_before = len(teacher.asked)
    judge.error = None
    write()
    assert (written_before > 0, len(teacher.asked)) == (True, 2)
    assert [row.answers for row in written_rows(tmp_path)] == [("A",), ("B",)]


@pytest.mark.parametrize(
    ("text", "tokens", "finish", "dropped"),
    [
        ("A story of a card  # [END]", 32, "length", ""),  # the last token completed the end mark
        ("A story of a card", 32, "length", "cut off"),
        ("A story of a card", 32, "", "cut off"),
        ("A story of a card", 31, "", ""),
        ("<think>A # [END] and so on.</think>A story of a card", 32, "stop", ""),
        ("<think>A story, then", 31, "stop", "cut off"),
        ("", 31, "stop", "empty"),
    ],
)
def test_a_text_that_reached_its_limit_is_dropped_and_one_with_its_end_mark_is_not(
    tmp_path: Path, text: str, tokens: int, finish: str, dropped: str
) -> None:
    class Teacher:
        async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
            return [Completion(text, tokens, None, finish, 9)]

    given = (cast(LLM, Teacher()), "{label}", None, ["A"], tmp_path, SyntheticSettings(1, 0.0, 0.5, False, 1.0, 32))
    prices = {"teacher": NO_PRICE, "reward_model": NO_PRICE}
    with suppress(UsageError):  # nothing is left
        asyncio.run(synthesise(*given, shown=str, seed=0, in_flight=1, prices=prices))
    (written,) = read_lines(tmp_path / "texts.jsonl", WrittenText)
    assert (written.dropped, written.text) == (dropped, "A story of a card" if "card" in text else "")


def test_a_text_with_a_line_separator_is_one_row(tmp_path: Path) -> None:
    row = {"id": "synthetic-A.0", "text": "one\u2028two\x85three", "label": "A"}
    write_file(tmp_path / ITEMS, json.dumps(row, ensure_ascii=False) + "\n")
    write_summary(tmp_path, {"rows": 1})
    assert [found.question.text for found in written_rows(tmp_path)] == [row["text"]]


def test_a_task_without_labels_has_no_teacher() -> None:
    with pytest.raises(ConfigError, match=r"synthetic.n: task=search_qa has no labels to write texts of"):
        compose(["synthetic.n=2", "run=x"])


def test_the_judge_of_texts_may_score_options(tmp_path: Path) -> None:
    given = ["experiment=synthetic", f"data={write_data(tmp_path / 'data', labelled=18)}", "improve.reward=options"]
    assert compose([*given, "demonstrations.questions.n=18"]).improve.reward == "options"


def test_n_texts_are_shared_among_the_labels() -> None:
    assert shares(15, ["A", "B", "C", "D"]) == {"A": 4, "B": 4, "C": 4, "D": 3}
    assert shares(4, ["A", "B"]) == {"A": 2, "B": 2}

"""The completion task on a user's own rows: its training rows, its labels, and what the loop never sees."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from rest_react.build import Parts, QuestionSet
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.loop import Loop
from rest_react.questions import read_items
from rest_react.records import Example, Result
from rest_react.reporting.results.results_json import read_results, scores_of
from rest_react.run import run
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.completion.settings import CompletionSettings
from rest_react.tasks.completion.task import render_state
from tests.loopback import Reply, Request, serve
from tests.questions.sets import write_jsonl
from tests.training.hosted.tuning_api import Api

CLASSES = ("Card", "Loan", "Mortgage")


def write_data(folder: Path, *, labelled: int, other: str = "") -> Path:
    """18 training rows, whose labels behind the first `labelled` are `other` if given, and 6 rows for validation."""
    for split, size in (("train", 18), ("validation", 6)):
        rows = [
            {
                "id": f"{split}-{i}",
                "text": f"{split} letter {i} of {'abcdefghijklmnopqr'[i] * 5}",
                "label": CLASSES[i % 3],
            }
            for i in range(size)
        ]
        for row in rows[labelled:] if split == "train" and other else ():
            row["label"] = other
        write_jsonl(folder / f"{split}.jsonl", *rows)
    return folder


def guess(request: Request) -> Reply:
    """A label that depends on the text alone; sometimes one that does not exist."""
    body = request.json
    asked = body["messages"][-1]["content"].partition("\n")[0]
    said = (*CLASSES, "Pension")[hashlib.sha256(asked.encode()).digest()[0] % 4]
    choices = [
        {"index": i, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        for i in range(body.get("n") or 1)
    ]
    return Reply(200, {"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}})


def label_free_run(tmp_path: Path, data: Path, name: str, *more: str) -> tuple[Path, list[str]]:
    """Two iterations with 10 labelled rows on a service that answers and tunes; its folder, and all that it was sent to
    answer or to train on, sorted."""
    api = Api()
    with serve(lambda request: guess(request) if "chat" in request.path else api.answer(request)) as server:
        url = f"base_url={server.url}/v1"
        run(
            compose(
                ["experiment=classify", f"data={data}", f"run={name}", "iteration=1", "demonstrations.questions.n=10",
                 "evaluate.benchmarks.validation.n=6", "policy=openai", "policy.model=m", f"policy.{url}",
                 "policy.api_key_env=null", "policy.logprobs=false",
                 "policy.requests_per_minute=null", f"output={tmp_path}", "finetune=hosted",
                 f"finetune.{url}", "finetune.api_key_env=null", "finetune.poll_s=0.05",
                 "finetune.mix_demonstrations=true", *more]
            )
        )  # fmt: skip
        sent = [request.body.decode() for request in server.requests if "chat" in request.path]
    return tmp_path / name, sorted(sent) + re.findall(
        r'^{"messages.*$', "".join(file["raw"].decode() for file in api.files), re.MULTILINE
    )


def test_behind_the_labelled_rows_no_label_reaches_the_loop(tmp_path: Path) -> None:
    plain = write_data(tmp_path / "data", labelled=10)
    changed = write_data(tmp_path / "changed", labelled=10, other="A label that nobody may see")
    (folder, sent), (other, sent_there) = (
        label_free_run(tmp_path, data, name, "task.baselines=[]")
        for data, name in ((plain, "run_plain"), (changed, "run_changed"))
    )
    assert sent == sent_there
    files = ("grow/trajectories.jsonl", "improve/rankings.jsonl", "improve/examples.jsonl")
    for name in (*(f"iter_{k}/{file}" for k in (0, 1) for file in files), "iter_1/evaluate/validation/results.jsonl"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert "nobody may see" not in "".join(path.read_text() for path in other.rglob("*.json*"))

    grown = [json.loads(line)["question_id"] for line in (folder / "iter_1/grow/trajectories.jsonl").open()]
    assert grown == [f"train-{i}" for i in range(10, 18)]


@pytest.mark.parametrize(
    ("selector", "chosen"), [("majority", "Loan"), ("reward_model", "Card")], ids=["majority", "reward model"]
)
def test_the_loop_without_labels_trains_on_the_majority_or_on_what_a_reward_model_ranks_first(
    selector: str, chosen: str, tmp_path: Path
) -> None:
    """The policy says Card in one of four samples and Loan in three; the reward model prefers Card."""
    api = Api()

    def answer(request: Request) -> Reply:
        if "chat" not in request.path:
            return api.answer(request)
        shown = re.findall(
            r"^\*\*\* Model Output #(\d+):\n```\n(.*?)\n```$",
            request.json["messages"][-1]["content"],
            re.MULTILINE | re.DOTALL,
        )
        said = [("Card", "Loan", "Loan", "Loan")[i % 4] for i in range(request.json.get("n") or 1)]
        if shown:
            first, *others = sorted((label != "Card", number) for number, label in shown)
            said = [f"EXPLANATION: x\nBEST: {first[1]}\nRANKING: {', '.join(n for _, n in (first, *others))}"]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": one}, "finish_reason": "stop"}
            for i, one in enumerate(said)
        ]
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
        return Reply(200, {"choices": choices, "usage": usage})

    with serve(answer) as server:
        own = (f"base_url={server.url}/v1", "model=m", "api_key_env=null", "logprobs=false", "requests_per_minute=null")
        run(
            compose(
                ["experiment=[classify,label_free]", f"data={write_data(tmp_path / 'data', labelled=10)}", "run=x",
                 "demonstrations.questions.n=10", "evaluate.benchmarks.validation.n=6", "grow.questions.n=8",
                 "policy=openai", "reward_model=openai", f"improve.selector={selector}", "improve.reward=generate",
                 *(f"{role}.{one}" for role in ("policy", "reward_model") for one in own), "finetune=hosted",
                 f"finetune.base_url={server.url}/v1", "finetune.api_key_env=null", "finetune.poll_s=0.05",
                 "finetune.mix_demonstrations=true", "task.baselines=[]", f"output={tmp_path}"]
            )
        )  # fmt: skip
    for iteration in (1, 2):
        examples = list(read_lines(tmp_path / f"x/iter_{iteration}/improve/examples.jsonl", Example))
        assert [(e.completion, e.trajectory_id.partition(".")[0]) for e in examples] == [
            (chosen, f"train-{i}") for i in range(10, 18)
        ]
    trained = [file["raw"].decode().count('"role": "assistant"') for file in api.files]
    assert trained == [10, 18, 18]


def test_supervised_rows_are_the_start_and_a_label_that_only_validation_has_is_unknown(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    rows = [json.loads(line) for line in (data / "validation.jsonl").open()]
    write_jsonl(data / "validation.jsonl", *[row | {"label": "Pension"} for row in rows[:2]], *rows[2:])
    folder, sent = label_free_run(tmp_path, data, "run", "task.baselines=[]", "iteration=0")

    examples = list(read_lines(folder / "iter_0/improve/examples.jsonl", Example))
    assert [(e.prompt, e.completion) for e in examples] == [
        (render_state(f"train letter {i} of {'abcdefghij'[i] * 5}"), CLASSES[i % 3]) for i in range(10)
    ]
    results = list(read_lines(folder / "iter_0/evaluate/validation/results.jsonl", Result))
    assert {r.verdict.verdict for r in results if r.golds == ("Pension",)} == {"incorrect"}
    assert {r.answer for r in results} <= {*CLASSES, ""}
    assert not any("Pension" in body for body in sent)


def test_labels_are_those_of_the_training_part_and_locked(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    settings = compose(["experiment=classify", f"data={data}", "demonstrations.questions.n=2", "run=x"])
    assert isinstance(settings.task, CompletionSettings)
    assert settings.task.labels == ("Card", "Loan")
    with pytest.raises(ConfigError, match=r"2 rows of demonstrations.questions have 1 different answers"):
        compose(
            ["experiment=classify", f"data={write_data(tmp_path / 'one', labelled=1, other='Card')}",
             "demonstrations.questions.n=2", "run=x"]
        )  # fmt: skip


def test_golds_outside_the_label_set_of_a_small_training_part_are_counted_in_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    write_jsonl(data / "second.jsonl", *({"text": f"Say {i}", "label": "AB"[i % 2]} for i in range(4)))
    told = {}
    for n in (2, 3):
        settings = compose(
            ["experiment=[classify,forgetting]", f"data={data}", f"demonstrations.questions.n={n}", "run=x",
             "evaluate.benchmarks.validation.n=6", f"evaluate.benchmarks.second.path={data}/second.jsonl",
             "evaluate.benchmarks.second.n=4"]
        )  # fmt: skip
        Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
        told[n] = " ".join(capsys.readouterr().err.split())
    note = (
        "note: evaluate.benchmarks.validation: 2 of 6 rows have labels outside the label set ('Mortgage'), so no "
        "answer to them is right, and their class has F1 0; to allow every label, name them all: task.labels=[...]"
    )
    assert note in told[2]
    assert [one.count("outside the label set") for one in told.values()] == [1, 0]


def test_the_labels_of_a_sample_are_those_of_the_rows_that_train(tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", "question": f"letter {i}", "answers": [CLASSES[i // 10]]} for i in range(30)]
    write_jsonl(tmp_path / "rows.jsonl", *rows)
    given = ["questions@demonstrations.questions=file", f"demonstrations.questions.path={tmp_path / 'rows.jsonl'}"]
    settings = compose(
        ["experiment=completion_smoke", "task.labels=null", *given, "demonstrations.questions.sample=9", "run=x"]
    )
    trained = Parts(settings, RunFolder(tmp_path / "run")).question_sets.labelled_rows
    assert settings.task.label_names() == tuple(sorted({row.answers[0] for row in trained})) == CLASSES


def test_labels_that_rows_or_outputs_cannot_have_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    own = ["experiment=classify", f"data={data}", "demonstrations.questions.n=18"]
    with pytest.raises(ConfigError, match=r"task\.labels: 6 of 18 rows .* have other labels \('Mortgage'\); add them"):
        compose([*own, "task.labels=[Card,Loan]"])
    with pytest.raises(ConfigError, match=r"task\.labels: 'C' and 'C#' differ in marks alone"):
        compose([*own, "task.labels=[Card,Loan,Mortgage,C,'C#']"])
    marks = write_data(tmp_path / "marks", labelled=10, other="Card!")
    with pytest.raises(ConfigError, match=r"task\.labels: 'Card' and 'Card!' differ in marks alone"):
        compose(["experiment=classify", f"data={marks}", "demonstrations.questions.n=18"])


def test_gold_answers_that_are_no_lists_are_refused_before_any_answer(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    settings = compose(
        ["experiment=classify", f"data={data}", "task.grade=formatting", "task.baselines=[]",
         "demonstrations.questions.n=18", "evaluate.benchmarks.validation.n=6"]
    )  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
    assert [one.partition(":")[0] for one in refused.value.problems] == [
        "evaluate.benchmarks.validation", "demonstrations.questions",
    ]  # fmt: skip
    assert "6 of 6 rows: validation-0: 'Card' is no list in JSON (task.grade=formatting)" in refused.value.problems[0]


def test_rows_of_validation_in_the_training_part_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    (data / "validation.jsonl").write_bytes((data / "train.jsonl").read_bytes())
    with pytest.raises(ConfigError, match=r"demonstrations.questions: 6 of 10 questions equal questions of"):
        label_free_run(tmp_path, data, "run")


def test_texts_of_validation_that_nearly_repeat_a_row_that_trains_are_counted_with_the_first_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    complaint = "On {} I paid the whole balance of my card in the branch at Velmar, and was charged a fee all the same."
    for split, days in (("train", {3: "3 May 2021", 12: "1 May 2020"}), ("validation", {2: "17 June 2022"})):
        rows = [json.loads(line) for line in (data / f"{split}.jsonl").open()]
        for i, row in enumerate(rows):
            row["text"] = complaint.format(days[i]) if i in days else f"{row['text'].split()[-1]} in {split} {i}"
        write_jsonl(data / f"{split}.jsonl", *rows)
    told = []
    for given in (["iteration=0"], ["iteration=1"], ["demonstrations.questions.n=3"]):
        settings = compose(
            ["experiment=classify", f"data={data}", "demonstrations.questions.n=10", "run=x",
             "evaluate.benchmarks.validation.n=6", *given]
        )  # fmt: skip
        Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
        told.append(" ".join(capsys.readouterr().err.split()))
    note = (
        "note: evaluate.benchmarks.validation: 1 of 6 texts nearly repeat a text that trains, e.g. validation-2 and "
        "train-3; the model may remember their labels"
    )
    assert [note in one for one in told] == [True, True, False]
    assert "nearly repeat" not in told[2]


@pytest.mark.parametrize(
    ("draw", "grown", "left_out"),
    [
        ("first", [9, 10, 11, 12, 13], 0),
        ("stratified", [9, 11, 12, 13, 14], 1),
        ("random", [9, 11, 12, 13, 14, 16], 2),
    ],
)
def test_grow_has_no_row_of_the_demonstrations_whatever_their_draw(
    draw: str, grown: list[int], left_out: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    settings = compose(
        ["experiment=classify", f"data={data}", "demonstrations.questions.n=9", "iteration=1", "run=x",
         f"demonstrations.questions.draw={draw}", "demonstrations.questions.seed=1", f"grow.questions.n={len(grown)}",
         "evaluate.benchmarks.validation.n=6"]
    )  # fmt: skip
    loop = Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
    assert [item.question.id for item in loop.grow_set.labelled] == [f"train-{i}" for i in grown]
    learnt = {row.question.text for row in loop.parts.question_sets.labelled_rows}
    assert not learnt.intersection(item.question.text for item in loop.grow_set.labelled)
    told = re.findall(r"(\d+) rows are left out of Grow", " ".join(capsys.readouterr().err.split()))
    assert told == [str(left_out)] * bool(left_out)


def test_grow_has_no_text_whose_label_the_prompt_shows(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    settings = compose(
        ["experiment=classify", f"data={data}", "start=prompted", "task.shots=3", "demonstrations.questions.n=9",
         "demonstrations.questions.draw=stratified", "demonstrations.questions.seed=1", "grow.questions.n=4",
         "grow.questions.skip=0", "iteration=1", "run=x"]
    )  # fmt: skip
    sets = Parts(settings, RunFolder(tmp_path / "run")).question_sets
    shown = {row.question.text for row in sets.labelled_rows}
    assert len(shown) == 9
    assert not shown.intersection(item.question.text for item in sets.grown().labelled)


def test_a_sample_for_grow_is_drawn_from_the_questions_that_are_not_demonstrated(tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", "question": f"letter {i}", "answers": [CLASSES[i % 3]]} for i in range(12)]
    write_jsonl(tmp_path / "rows.jsonl", *rows)
    sets = [f"questions@{one}=file" for one in ("demonstrations.questions", "grow.questions")]
    sets += [f"{one}.path={tmp_path / 'rows.jsonl'}" for one in ("demonstrations.questions", "grow.questions")]
    sampled = ["demonstrations.questions.sample=6", "demonstrations.questions.seed=1", "grow.questions.sample=6"]
    settings = compose(
        ["experiment=completion_smoke", "policy=tiny", "task.labels=null", "iteration=1", *sets, *sampled, "run=x"]
    )
    made = Parts(settings, RunFolder(tmp_path / "run")).question_sets
    grown, learnt = ({item.question.id for item in one} for one in (made.grown().labelled, made.labelled_rows))
    assert (len(grown), grown | learnt) == (6, {row["id"] for row in rows})


def test_a_default_draw_has_the_rows_and_the_digests_that_it_always_had(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    settings = compose(["experiment=classify", f"data={data}", "demonstrations.questions.n=9", "iteration=1", "run=x"])
    grown = Parts(settings, RunFolder(tmp_path / "run")).question_sets.grown()
    assert grown == QuestionSet(tuple(read_items(data / "train.jsonl", labelled=False)[9:]), None)
    assert grown.digest() == "43f871b2d056d157"


def test_a_run_whose_rows_for_grow_are_all_demonstrated_is_refused_before_any_answer(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    given = ["experiment=alpaca", f"data={data}", "iteration=1", "run=x"]
    settings = compose(given)
    with pytest.raises(ConfigError) as refused:
        Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
    (problem,) = refused.value.problems
    assert problem == (
        f"{data}/train.jsonl: 18 of its 18 rows are rows of demonstrations.questions, whose labels the policy "
        "learns or is shown, which leaves 0; lower demonstrations.questions.n, or set iteration=0"
    )
    untrained = compose([*given, "iteration=0"])
    before = Parts(untrained, RunFolder(tmp_path / "before")).question_sets
    assert len(before.grown().labelled) == 18


def test_baselines_answer_the_same_rows_and_are_compared_with_the_last_iteration(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    folder, _ = label_free_run(tmp_path, data, "run", "iteration=0")
    told = read_results(folder)
    assert [(b.name, b.row.benchmark, b.row.questions) for b in told.baselines] == [
        (name, "validation", 6) for name in ("few_shot", "majority", "tfidf", "zero_shot")
    ]
    tuned = scores_of(told.rows[0]) or {}
    for baseline in told.baselines:
        theirs = scores_of(baseline.row) or {}
        assert theirs.keys() == tuned.keys()
        assert baseline.last_minus_it is not None
        assert baseline.last_minus_it.mean == sum(tuned[q][0] - theirs[q][0] for q in tuned) / 6  # type: ignore[operator]
    majority = next(b.row for b in told.baselines if b.name == "majority")
    assert (majority.accuracy.mean, majority.cost_usd) == (1 / 3, 0.0)
    outside = told.rows[0].scores["outside_label_set"]
    assert outside.mean == told.rows[0].failed_share > 0
    page = (folder / "report.md").read_text()
    assert all(heading in page for heading in ("validation: baselines", "confusion: gold in lines", "by label"))
    whole = (folder / "report.html").read_text()
    assert all(heading in whole.casefold() for heading in ("confusion", "by label"))
    chart = whole.partition("Accuracy per iteration with 95% intervals")[2].partition("</svg>")[0]
    assert re.findall(r"<title>(\w+): ([\d.]+%)</title>\s*<line class=\"baseline\"", chart) == [
        (b.name, f"{100 * (b.row.accuracy.mean or 0.0):.1f}%") for b in told.baselines
    ]


def test_a_judge_rates_the_tone_of_every_model_in_a_call_of_its_own(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    asked: list[str] = []
    api = Api()

    def answer(request: Request) -> Reply:
        if "chat" not in request.path:
            return api.answer(request)
        shown = request.json["messages"][-1]["content"]
        said = "Good day to you!"
        if "RATING" in shown:
            asked.append(shown)
            said = "RATING: 5"
        message = {"role": "assistant", "content": said}
        return Reply(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {}})

    with serve(answer) as server:
        models = [f"{role}.{one}" for role in ("policy", "grader") for one in (
            "model=m", f"base_url={server.url}/v1", "api_key_env=null", "logprobs=false", "requests_per_minute=null",
        )]  # fmt: skip
        run(
            compose(
                ["experiment=alpaca", f"data={data}", "task.grade=tone", "task.labels=[]", "task.tone=cheerful",
                 "demonstrations.questions.n=10", "task.baselines=[zero_shot]", "policy=openai", "grader=openai",
                 "finetune=hosted", f"finetune.base_url={server.url}/v1", "finetune.api_key_env=null",
                 "finetune.poll_s=0.05", f"output={tmp_path}", "run=x", *models]
            )
        )  # fmt: skip
    told = read_results(tmp_path / "x")
    assert (told.rows[0].scores["rating"].mean, told.baselines[0].row.scores["rating"].mean) == (5.0, 5.0)
    assert len(asked) == 12
    assert all("cheerful" in prompt and "Good day to you!" in prompt and "zero_shot" not in prompt for prompt in asked)
    with pytest.raises(ConfigError, match="grader: rule cannot rate answers"):
        compose(["experiment=alpaca", f"data={data}", "task.grade=tone", "task.labels=[]", "run=y"])


def test_lists_are_learnt_from_an_alpaca_file_and_scored_before_and_after(tmp_path: Path) -> None:
    gold = '["A", "B"]'
    for split, size in (("train", 12), ("validation", 4)):
        rows = (
            {"instruction": "Answer both.", "input": f"{split} {i} {'abcdefghijkl'[i] * 6}?", "output": gold}
            for i in range(size)
        )
        write_jsonl(tmp_path / "data" / f"{split}.jsonl", *rows)
    api = Api()

    def answer(request: Request) -> Reply:
        if "chat" not in request.path:
            return api.answer(request)
        first = "validation 0" in request.json["messages"][-1]["content"]
        said = '["A", "C"]' if first else gold
        said = said if request.json["model"].startswith("ft:") else f"Sure: {said}"
        message = {"role": "assistant", "content": said}
        return Reply(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {}})

    with serve(answer) as server:
        url = f"base_url={server.url}/v1"
        run(
            compose(
                ["experiment=alpaca", f"data={tmp_path / 'data'}", "task.grade=formatting",
                 "task.baselines=[zero_shot]", "run=lists", "policy=openai", "policy.model=m", f"policy.{url}",
                 "policy.api_key_env=null",
                 "policy.logprobs=false", "policy.requests_per_minute=null", "finetune=hosted", f"finetune.{url}",
                 "finetune.api_key_env=null", "finetune.poll_s=0.05", f"output={tmp_path}"]
            )
        )  # fmt: skip
    told = read_results(tmp_path / "lists")
    (tuned,), (untuned,) = told.rows, (baseline.row for baseline in told.baselines)
    assert {name: score.mean for name, score in tuned.scores.items()} == {
        "json_list": 1.0, "keys": 1.0, "values": 0.75, "all_right": 0.75, "share_right": 0.875,
    }  # fmt: skip
    assert (tuned.accuracy.mean, untuned.accuracy.mean) == (0.75, 0.0)
    assert {untuned.scores[name].mean for name in ("json_list", "share_right", "all_right")} == {0.0}
    (trained,) = (file["raw"].decode() for file in api.files)
    assert trained.count('"role": "assistant", "content": "[\\"A\\", \\"B\\"]"') == 12

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from rest_react.config.groups import CONFIGS
from rest_react.errors import ConfigError, OutsideFault, UsageError
from rest_react.questions import read_hub
from rest_react.records import LabelledQuestion, Question
from tests.loopback import Reply, serve
from tests.questions.sets import write_jsonl

PINNED = "d" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local folder with the layout of a data set; no network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"_id": f"h{i}", "question": f"Who is {i}?", "gold": str(i), "huge": ["x"] * 100} for i in range(20)]
    write_jsonl(tmp_path / "set" / "train.jsonl", *rows)
    return tmp_path / "set"


def test_a_data_set_gives_its_questions(hub: Path) -> None:
    questions = read_hub(str(hub), None, "train", "main", {"id": "_id", "answers": "gold"})
    assert questions[3] == LabelledQuestion(question=Question(id="h3", text="Who is 3?"), answers=("3",))
    assert len(questions) == 20


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache written by `datasets`: the validation split of owner/Some at one commit; and no network."""
    import datasets
    from huggingface_hub import constants

    rows = [{"id": f"h{i}", "question": f"Who is {i}?", "answer": str(i)} for i in range(5)]
    path = write_jsonl(tmp_path / "validation.jsonl", *rows)
    read = datasets.load_dataset("json", data_files={"validation": str(path)}, cache_dir=str(tmp_path / "read"))
    made = Path(read["validation"].cache_files[0]["filename"])
    kept = tmp_path / "datasets" / "owner___some" / "default" / "0.0.0" / PINNED
    kept.mkdir(parents=True)
    made.rename(kept / "some-validation.arrow")
    info = json.loads((made.parent / "dataset_info.json").read_text()) | {"dataset_name": "some"}
    (kept / "dataset_info.json").write_text(json.dumps(info))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    for module in (datasets.config, constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    return kept


def test_a_cached_data_set_is_read_without_a_network(cached: Path) -> None:
    questions = read_hub("owner/Some", None, "validation", PINNED)
    assert [(item.question.id, item.answers) for item in questions] == [(f"h{i}", (str(i),)) for i in range(5)]


def test_a_cache_with_another_revision_than_the_pinned_one_is_refused(cached: Path) -> None:
    """`datasets` itself would use it and only log a line."""
    with pytest.raises(UsageError, match=f"another revision than {'e' * 40}"):
        read_hub("owner/Some", None, "validation", "e" * 40)
    assert len(read_hub("owner/Some", None, "validation", "main")) == 5


def test_a_file_at_a_url_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "twoogle.csv").write_text('question,answer\n"Who, and when?",Ada\n')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/twoogle.csv"
        (question,) = read_hub(url, None, "test", "f" * 40)
        server.shutdown()
    assert (question.question.text, question.answers) == ("Who, and when?", ("Ada",))
    assert read_hub(url, None, "test", "f" * 40) == [question]  # the server has stopped
    with pytest.raises(OutsideFault, match=r"question set .*other\.csv: .*refused"):
        read_hub(url.replace("twoogle", "other"), None, "test", "f" * 40)


@pytest.mark.parametrize(
    ("config", "split", "message"),
    [(None, "nope", r"'train'.*set split"), ("nope", "train", r"'default'.*set config")],
)
def test_a_wrong_config_or_split_is_a_usage_error_that_lists_the_right_ones(
    hub: Path, config: str | None, split: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_hub(str(hub), config, split, "main", {"answers": "gold"})


def test_the_hops_of_musique_are_read_from_its_ids(hub: Path) -> None:
    """The layout of the Hub, shortened."""
    hop = {"id": 1, "question": "Q", "answer": "A", "paragraph_support_idx": 0}
    rows = [
        {
            "id": id_, "paragraphs": [{"idx": 0, "title": "T", "paragraph_text": "P", "is_supporting": True}],
            "question": f"Who is {id_}?", "question_decomposition": [hop], "answer": "Ada",
            "answer_aliases": ["A. Mell"], "answerable": True,
        }
        for id_ in ("2hop__482757_12019", "3hop1__9285_5188_23307", "4hop3__1_2_3_4")
    ]  # fmt: skip
    musique = write_jsonl(hub.parent / "musique" / "validation.jsonl", *rows).parent
    fields = yaml.safe_load((CONFIGS / "questions" / "musique.yaml").read_text())["fields"]
    assert read_hub(str(musique), None, "validation", "main", fields) == [
        LabelledQuestion(Question(row["id"], row["question"]), ("Ada", "A. Mell"), hops=hops)
        for row, hops in zip(rows, (2, 3, 4), strict=True)
    ]


def test_a_wrong_column_of_a_data_set_is_a_config_error(hub: Path) -> None:
    with pytest.raises(ConfigError, match=r"fields\.answers: .*'label'"):
        read_hub(str(hub), None, "train", "main", {"answers": "label"})


def test_a_missing_network_is_an_outside_fault_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutsideFault, match=r"network connection.*a file of your own"):
        read_hub("no-such-owner/no-such-set", None, "train", "0" * 40)


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            FileNotFoundError("Dataset 'o/s' is a gated dataset on the Hub. You must be authenticated to access it."),
            r"accept the licence on https://huggingface\.co/datasets/o/s, then set HF_TOKEN",
        ),
        (RuntimeError("Dataset scripts are no longer supported, but found s.py"), "revision=refs/convert/parquet"),
        (FileNotFoundError("Revision 'main2' doesn't exist for dataset"), "revision main2 .*commits/main"),
        (ValueError("Config name is missing. Pick one among: ['a', 'b']"), r"'a', 'b'.*set config to one of"),
        (ValueError("Couldn't find cache for s for config 'b'"), "set config .* network connection"),
        (FileNotFoundError("Dataset 'o/s' doesn't exist on the Hub"), "check the name.* HF_TOKEN"),
        (ImportError("you need to install the following dependency: lz4."), "install"),
    ],
)  # fmt: skip
def test_an_error_of_the_settings_is_a_usage_error_that_says_what_to_do(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(error, monkeypatch)
    with pytest.raises(UsageError, match=message) as refused:
        read_hub("o/s", None, "train", "main2")
    assert str(error) in str(refused.value)


@pytest.mark.parametrize("error", [ConnectionError("Couldn't reach 'o/s' on the Hub"), TimeoutError("timed out")])
def test_a_network_error_is_an_outside_fault(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(error, monkeypatch)
    with pytest.raises(OutsideFault, match="network connection"):
        read_hub("o/s", None, "train", "main")


def test_a_url_without_a_file_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    message = r"none\.csv: HTTPError: HTTP Error 404.*check the URL"
    with serve(lambda _: Reply(404, b"no such file")) as server, pytest.raises(UsageError, match=message):
        read_hub(f"{server.url}/none.csv", None, "test", "main")


def test_an_incomplete_download_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = b"question,answer\nWho?,Ada\n"
    lengths = iter([len(table) + 9, len(table)])
    with serve(lambda _: Reply(200, table, {"content-length": str(next(lengths)), "connection": "close"})) as server:
        with pytest.raises(OutsideFault, match="closed after"):
            read_hub(f"{server.url}/set.csv", None, "test", "main")
        assert len(read_hub(f"{server.url}/set.csv", None, "test", "main")) == 1

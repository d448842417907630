"""Answers kept on disk: asked for once, told apart by all that matters, and shared by processes."""

import asyncio
import json
import multiprocessing
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.records import Completion, Hit, OptionScores, Prompt, Sampling
from rest_react.remote.cache import FILE, Cache, CachedLLM, CachedSearch, client_name
from rest_react.search.retrieval_server import HttpSearch
from rest_react.storage.run_folder import RunFolder
from tests.loopback import Reply, serve

PROMPT = Prompt("Instructions.\n", "QUESTION = 1\n# step: decision\n")
SAMPLING = Sampling(0.5, 40, seed=7, stop=("# [END]",))
HITS = [Hit("p1", "Dusk", "By Ada Mell."), Hit("p2", "Dawn", "half a pair: \ud800")]


class Counting:
    """An LLM whose every sample is new, and a search engine that counts."""

    def __init__(self, hits=HITS, fault=None) -> None:
        self.asked, self.closed, self.hits, self.fault = 0, 0, hits, fault

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return [Completion(f"{self.asked}/{i}\ud800", 3, -0.1 * i if i else None, "stop", 11) for i in range(n)]

    async def search(self, query: str, k: int) -> list[Hit]:
        self.asked += 1
        return self.hits[:k]

    async def aclose(self) -> None:
        self.closed += 1


def sample(client, folder, prompt=PROMPT, n=2, sampling=SAMPLING, name="model") -> list[Completion]:
    return asyncio.run(CachedLLM(client, name, Cache(folder)).sample(prompt, n=n, sampling=sampling))


def search(client, folder, query="author of Dusk", k=2, name="engine") -> list[Hit]:
    return asyncio.run(CachedSearch(client, name, Cache(folder)).search(query, k))


def test_an_answer_is_asked_for_once_and_comes_back_whole(tmp_path: Path) -> None:
    client = Counting()
    first = sample(client, tmp_path)
    assert first == [Completion("1/0\ud800", 3, None, "stop", 11), Completion("1/1\ud800", 3, -0.1, "stop", 11)]
    assert sample(client, tmp_path) == first
    assert search(client, tmp_path) == search(client, tmp_path) == HITS
    assert client.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        {"name": "model-2"},
        {"prompt": replace(PROMPT, prefix="")},
        {"prompt": replace(PROMPT, state="QUESTION = 1\n# step: answer\n")},
        {"prompt": Prompt(PROMPT.prefix + PROMPT.state, "")},
        {"prompt": replace(PROMPT, turns=(("a state", "an output"),))},
        {"prompt": replace(PROMPT, closing="Now write.")},
        {"sampling": replace(SAMPLING, seed=8)},
        {"sampling": replace(SAMPLING, temperature=0.6)},
        {"sampling": replace(SAMPLING, max_tokens=41)},
        {"sampling": replace(SAMPLING, stop=())},
    ],
)
def test_whatever_can_change_an_answer_tells_it_apart(tmp_path: Path, other) -> None:
    client = Counting()
    assert sample(client, tmp_path) != sample(client, tmp_path, **other)


@pytest.mark.parametrize("other", [{"name": "engine-2"}, {"query": "Author of Dusk"}, {"k": 3}])
def test_searches_are_told_apart_by_engine_query_and_k(tmp_path: Path, other) -> None:
    client = Counting()
    search(client, tmp_path)
    search(client, tmp_path, **other)
    assert client.asked == 2


def test_fewer_samples_are_the_first_of_those_kept_and_of_more_the_kept_ones_stay(tmp_path: Path) -> None:
    client = Counting()
    two = sample(client, tmp_path, n=2)
    assert sample(client, tmp_path, n=1) == two[:1]
    assert client.asked == 1
    four = sample(client, tmp_path, n=4)
    assert [one.text[:3] for one in four] == ["1/0", "1/1", "2/2", "2/3"]


def test_no_results_is_an_answer_too(tmp_path: Path) -> None:
    client = Counting(hits=[])
    assert search(client, tmp_path) == search(client, tmp_path) == []
    assert client.asked == 1


@pytest.mark.parametrize("fault", [OutsideFault("HTTP 503"), ModelFault("refused")])
def test_a_fault_is_not_kept(tmp_path: Path, fault) -> None:
    with pytest.raises(type(fault)):
        sample(Counting(fault=fault), tmp_path)
    assert sample(Counting(), tmp_path)[0].text == "1/0\ud800"


@pytest.mark.parametrize(
    "empty", [b"{}", b"<html>Prove that you are human</html>", b'{"result": [[]], "error": "busy"}']
)
def test_an_empty_page_of_an_engine_is_not_kept_as_no_results(tmp_path: Path, empty: bytes) -> None:
    with serve(lambda _: Reply(200, empty)) as server, pytest.raises(OutsideFault):
        search(HttpSearch(server.url, tries=1), tmp_path)
    with serve(lambda _: Reply(200, {"result": [[]]})) as server:
        assert search(HttpSearch(server.url, tries=1), tmp_path) == search(None, tmp_path) == []


def test_a_cache_that_another_thread_collects_closes_its_file(tmp_path: Path) -> None:
    held = [Cache(tmp_path)]
    held[0].keep("key", ["answer"])
    log = tmp_path / f"{FILE}-wal"  # SQLite removes it with the last connection
    assert log.exists()
    collector = threading.Thread(target=held.clear)
    collector.start()
    collector.join()
    assert not log.exists()
    assert Cache(tmp_path).find("key", 1) == ["answer"]


def test_new_weights_in_a_folder_of_the_home_folder_are_another_client(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    weights = tmp_path / "m" / "model.safetensors"
    weights.parent.mkdir()
    policy = compose(["policy=tiny"]).policy
    names = set()
    for content in (b"old", b"newer"):
        weights.write_bytes(content)
        names.add(client_name(policy, weights="~/m"))
    assert len(names) == 2


def test_a_recorded_client_replays_and_refuses_to_ask_outside(tmp_path: Path) -> None:
    kept, hits = sample(Counting(), tmp_path), search(Counting(), tmp_path)
    assert (sample(None, tmp_path), search(None, tmp_path)) == (kept, hits)
    with pytest.raises(OutsideFault, match=r"no answer of model to \.\.\.'other'"):
        sample(None, tmp_path, prompt=Prompt("", "other"))
    with pytest.raises(OutsideFault, match="no answer of engine to query 'other'"):
        search(None, tmp_path, query="other")


def test_closing_a_cached_client_closes_the_client_behind_it(tmp_path: Path) -> None:
    client = Counting()
    asyncio.run(CachedLLM(client, "model", Cache(tmp_path)).aclose())
    asyncio.run(CachedLLM(None, "model", Cache(tmp_path)).aclose())
    assert client.closed == 1


def test_a_file_that_is_no_cache_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("something else, and long enough to be read as a header of a hundred bytes" * 2)
    with pytest.raises(UsageError, match=r"answers\.sqlite cannot be used .* cache=null"):
        sample(Counting(), tmp_path)


@pytest.mark.parametrize("answer", ["", "{", "[]", "7"])
def test_a_damaged_answer_is_refused_with_the_way_out(tmp_path: Path, answer: str) -> None:
    sample(Counting(), tmp_path)
    with sqlite3.connect(tmp_path / FILE) as answers:
        answers.execute("UPDATE answers SET answer = ?", (answer,))
    with pytest.raises(UsageError, match=r"answers\.sqlite cannot be used .* delete the file"):
        sample(Counting(), tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@given(st.lists(st.text(max_size=8), max_size=4))
def test_any_text_comes_back_as_it_was(shared: Path, texts: list[str]) -> None:
    query, hits = repr(texts), [Hit(text, text[::-1], f"{text}\0\ud800\n") for text in texts]
    assert search(Counting(hits), shared, query, k=9) == search(None, shared, query, k=9) == hits


def test_a_lock_that_cannot_be_opened_is_no_reason_to_go_without_the_cache(tmp_path: Path) -> None:
    (tmp_path / FILE).with_suffix(".lock").mkdir()
    assert search(Counting(HITS), tmp_path) == search(None, tmp_path) == HITS


def _ask(folder: str, together, results) -> None:
    """One of several processes that ask the same at once; each would be given other answers."""
    client = Counting()
    client.asked = hash(multiprocessing.current_process().name) % 10_000_000
    answers = []
    for seed in range(40):
        together.wait()
        cache = Cache(Path(folder) / str(seed % 20))  # 20 files are new to all processes at once
        sampling = replace(SAMPLING, seed=seed)
        answers.append(asyncio.run(CachedLLM(client, "model", cache).sample(PROMPT, n=2, sampling=sampling)))
    results.put([[one.text for one in answer] for answer in answers])


def test_processes_that_ask_the_same_at_once_all_go_on_with_one_answer(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results, together = context.Queue(), context.Barrier(3, timeout=60)
    processes = [context.Process(target=_ask, args=(str(tmp_path), together, results)) for _ in range(3)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert answers[0] == answers[1] == answers[2]
    for folder in range(20):
        with closing(sqlite3.connect(tmp_path / str(folder) / FILE)) as connection:
            assert connection.execute("SELECT count(*) FROM answers").fetchone() == (4,)


# ── through the settings ──────────────────────────────────────────────────────────────────────────────────────────────


def parts(folder: Path, *overrides: str) -> Parts:
    return Parts(compose(["tracking=none", "start=prompted", *overrides]), RunFolder(folder))


def test_the_cache_wraps_clients_of_remote_services(tmp_path: Path) -> None:
    with_cache = parts(tmp_path, "policy=tiny", "search=http", f"cache={tmp_path}")
    assert type(with_cache.llm(with_cache.starting_model())) is CachedLLM
    client = with_cache.search(())
    assert type(client) is CachedSearch and type(client.client) is HttpSearch
    scripted = parts(tmp_path, "policy=scripted", f"cache={tmp_path}")
    assert type(scripted.llm(scripted.starting_model())) is not CachedLLM


def test_two_models_two_modes_and_weights_made_anew_never_share_an_answer(tmp_path: Path) -> None:
    made = parts(tmp_path, "policy=tiny", f"cache={tmp_path}")
    base = made.starting_model()
    local = replace(base, where="local", name="model")
    (tmp_path / "model").mkdir()
    names = [made.llm(base)._name, made.models.open("policy", made.settings.policy, base, "chat")._name]
    for weights in ("old", "other"):
        (tmp_path / "model/weights.safetensors").write_text(weights)
        names.append(made.llm(local)._name)
    assert len(set(names)) == 4
    (tmp_path / "model/README.md").write_text("the card of a report")
    assert made.llm(local)._name == names[-1]
    assert (
        made.llm(base)._name
        == parts(tmp_path, "policy=tiny", "policy.in_flight=3", f"cache={tmp_path}").llm(base)._name
    )


def test_replay_needs_no_server_for_cached_answers(tmp_path: Path) -> None:
    found = {"result": [[{"document": {"id": "17", "contents": '"Ostrim"\nA town.'}}]]}
    with serve(lambda _: Reply(200, found)) as server:
        how = ("search=http", f"search.url={server.url}/retrieve", f"cache={tmp_path}")
        hits = [asyncio.run(parts(tmp_path, *how).search(()).search("Ostrim", 3)) for _ in range(2)]
        assert [json.loads(request.body)["queries"] for request in server.requests] == [["Ostrim"]]
    assert asyncio.run(parts(tmp_path, *how, "replay=true").search(()).search("Ostrim", 3)) == hits[0] == hits[1]


def test_a_replay_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = parts(tmp_path, "policy=openai", "finetune=hosted", f"cache={tmp_path}", "replay=true")
    with pytest.raises(OutsideFault, match="replay"):
        asyncio.run(made.llm(made.starting_model()).sample(PROMPT, n=1, sampling=SAMPLING))


@pytest.mark.parametrize("scores", [OptionScores((-0.1, -2.5), (1,), 9, 1), None])
def test_scores_are_asked_for_once_and_so_is_that_there_are_none(tmp_path: Path, scores) -> None:
    asked = []

    class Scoring(Counting):
        async def score(self, prompt: Prompt, options: list[str]) -> OptionScores | None:
            asked.append(options)
            return scores

    def score(client, prompt=PROMPT, options=("A", "B")) -> OptionScores | None:
        return asyncio.run(CachedLLM(client, "model", Cache(tmp_path)).score(prompt, options))

    assert [score(Scoring()), score(None)] == [scores, scores]
    assert [score(Scoring(), options=("B", "A")), score(Scoring(), replace(PROMPT, closing="!"))] == [scores, scores]
    assert asked == [("A", "B"), ("B", "A"), ("A", "B")]
    with pytest.raises(OutsideFault, match="no scores of model"):
        score(None, options=("C",))

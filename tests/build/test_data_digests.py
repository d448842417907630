from pathlib import Path

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.loop import Loop
from rest_react.storage.run_folder import RunFolder
from rest_react.weights.embedded import embedded_source
from tests.questions.sets import write_jsonl


def test_the_embedded_model_has_the_digest_of_its_source(tmp_path: Path) -> None:
    settings = compose(["iteration=0", f"output={tmp_path}"])
    digests = Loop(settings, Parts(settings, RunFolder(tmp_path / "mine"))).data_digests()
    assert digests["policy.model"] == embedded_source() != "hub"


def test_other_weights_in_a_folder_that_a_role_or_the_search_engine_loads_are_noticed(tmp_path: Path) -> None:
    roles = {
        "policy.model": "smollm2",
        "reward_model.model": "smollm2",
        "grader.model": "vllm",
        "search.model": "dense",
    }
    given = ["improve.selector=reward_model", "iteration=0"]
    for role, kind in roles.items():
        (tmp_path / role).mkdir()
        (tmp_path / role / "model.safetensors").write_bytes(b"first")
        given += [f"{role.partition('.')[0]}={kind}", f"{role}={tmp_path / role}"]
    settings = compose([*given, f"output={tmp_path}"])
    before = Loop(settings, Parts(settings, RunFolder(tmp_path / "mine"))).data_digests()
    assert set(before) == {"grow.questions", "evaluate.world", *roles}
    for role in roles:
        (tmp_path / role / "model.safetensors").write_bytes(b"other")
        now = Loop(settings, Parts(settings, RunFolder(tmp_path / "mine"))).data_digests()
        assert [name for name in before if now[name] != before[name]] == [role]
        before = now


def test_a_demonstration_whose_chain_has_changed_under_its_name_is_noticed(tmp_path: Path) -> None:
    row = {"id": "d1", "question": "Where was the author of Emma born?", "answers": ["Steventon"]}
    passages = [
        {"id": "p1", "title": "Emma", "text": "Emma is a novel by Jane Austen."},
        {"id": "p2", "title": "Jane Austen", "text": "Jane Austen was born in Steventon."},
    ]
    write_jsonl(tmp_path / "questions.jsonl", {"id": "q1", "question": "Who wrote Emma?", "answers": ["Jane Austen"]})
    write_jsonl(tmp_path / "corpus.jsonl", *passages)
    shown = ["questions@demonstrations.questions=file", f"demonstrations.questions.path={tmp_path}/shown.jsonl"]
    shown.append(f"demonstrations.questions.corpus={tmp_path}/corpus.jsonl")
    digests = []
    for relation in ("author", "writer"):
        chain = [["Emma", relation, "Jane Austen"], ["Jane Austen", "place of birth", "Steventon"]]
        write_jsonl(tmp_path / "shown.jsonl", {**row, "evidence": chain})
        settings = compose(["experiment=local_corpus", f"data={tmp_path}", f"output={tmp_path}", *shown])
        digests.append(Loop(settings, Parts(settings, RunFolder(tmp_path / "mine"))).data_digests())
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == ["demonstrations.chains"]

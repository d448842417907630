from pathlib import Path

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.loop import Loop
from rest_react.storage.run_folder import RunFolder
from rest_react.weights.embedded import embedded_source


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

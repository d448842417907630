"""Which rows are kept from training."""

from rest_react.prompts import EXEMPLAR_ID
from rest_react.records import Example
from rest_react.training.rows.holdout import split_rows


def row(id_: str, trajectory: str) -> Example:
    return Example(id_, trajectory, 0, "decide", "state", "output", "perplexity")


def test_all_rows_of_a_question_are_on_one_side_and_exemplars_always_train() -> None:
    rows = [row(f"q{n}.{repeat}.{i}", f"q{n}.{repeat}") for n in range(40) for repeat in (0, 1) for i in (0, 1)]
    shown = [row(f"{EXEMPLAR_ID}{kind}.0", f"{EXEMPLAR_ID}{kind}") for kind in ("decide", "answer")]
    trained, held_out = split_rows([*shown, *rows], 0.5)
    assert trained[:2] == shown
    questions = [{one.trajectory_id.rpartition(".")[0] for one in side} for side in (trained[2:], held_out)]
    assert not questions[0] & questions[1]
    assert 10 < len(questions[1]) < 30
    assert sorted([*trained, *held_out], key=repr) == sorted([*shown, *rows], key=repr)

"""AUC, precision and recall, compared with numbers counted by hand."""

from benchmarks.detection import Estimate, detection, top_half


def test_auc_counts_pairs_and_equal_scores_by_half() -> None:
    found = detection(
        [0.9, 0.5, 0.5, None, 0.1],
        right=[True, False, True, True, False],
        kept=[True, True, False, True, False],
        questions=["a", "a", "b", "b", "c"],
    )
    assert (found.scored, found.kept, found.pairs) == (4, 3, 1)
    assert found.auc.value == (1 + 1 + 0.5 + 1) / 4
    assert found.auc_within.value == 1.0  # only question a has both
    assert (found.precision.value, found.recall.value) == (2 / 3, 2 / 3)


def test_intervals_draw_the_trajectories_of_a_question_together() -> None:
    right = [True, False] * 20
    one = detection([1.0, 0.0, 0.0, 1.0] * 10, right, right, [str(i // 4) for i in range(40)])
    many = detection([1.0, 0.0, 0.0, 1.0] * 10, right, right, [str(i) for i in range(40)])
    assert (one.auc.value, many.auc.value) == (0.5, 0.5)
    assert one.auc.low is not None and many.auc.low is not None
    assert many.auc.low < 0.4 < one.auc.low  # every question of the first has a pair of each kind


def test_a_perfect_signal_on_few_trajectories_is_not_certain() -> None:
    right = [True, False] * 6
    found = detection([float(one) for one in right], right, right, [str(i // 4) for i in range(12)])
    for figure in (found.auc, found.auc_within, found.precision, found.recall):
        assert (figure.value, figure.high) == (1.0, 1.0)
        assert figure.low is not None and 0.2 < figure.low < 0.95


def test_without_right_or_kept_trajectories_nothing_is_claimed() -> None:
    found = detection([0.5, 0.1], [False, False], [False, False], ["a", "b"])
    assert (found.auc, found.precision, found.recall) == (Estimate(None),) * 3


def test_a_score_without_a_filter_keeps_its_better_half() -> None:
    assert top_half([3.0, None, 1.0, 2.0]) == [True, False, False, True]
    assert top_half([None]) == [False]

"""A sweep whose data changed between its runs says so, on the terminal and in both files."""

from pathlib import Path

from tests.sweep.hand_made import first, swept, write_run

OLD, NEW = "1111aaaa2222bbbb", "3333cccc4444dddd"


def write_runs(folder: Path, *digests: tuple[str, ...], **settings: object) -> list[Path]:
    """A run for each of these sequences of digests of the benchmark `world`."""
    return [
        write_run(
            folder / f"r_{i}",
            {0: first(60 + i)},
            environments=[{"rest-react": "1", "torch": str(i), "evaluate.world": digest} for digest in own],
            seed=i,
            **settings,
        )
        for i, own in enumerate(digests)
    ]


def notes(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("note: ")]


def test_runs_with_other_data_under_the_same_settings_are_named(tmp_path: Path) -> None:
    told = notes(swept(tmp_path, write_runs(tmp_path, (OLD,), (NEW,), (OLD, NEW), (OLD,))))
    assert told == [
        (
            "note: the content of evaluate.world changed during this sweep, so its runs may not be comparable: digest "
            "1111aaaa in r_0, r_3; 3333cccc in r_1; 1111aaaa, then 3333cccc in r_2. For runs on the same data, run the "
            "sweep again with other names (run=...)"
        )
    ]
    for page in ("sweep.md", "sweep.html"):
        assert "1111aaaa, then 3333cccc in r" in (tmp_path / page).read_text(), page


def test_a_run_that_was_finished_before_its_data_changed_is_named_although_it_was_resumed_with_the_new_data(
    tmp_path: Path,
) -> None:
    (told,) = notes(swept(tmp_path, write_runs(tmp_path, (OLD, NEW), (NEW,))))
    assert "1111aaaa, then 3333cccc in r_0; 3333cccc in r_1" in told


def test_the_same_data_needs_no_note_whatever_else_changed(tmp_path: Path) -> None:
    assert notes(swept(tmp_path, write_runs(tmp_path, (OLD,), (OLD,)))) == []


def test_data_that_other_settings_name_are_not_compared(tmp_path: Path) -> None:
    own = ["demonstrations.questions.n=50", "demonstrations.questions.n=100"]
    names = ("demonstrations.questions", "grow.questions", "evaluate.world")
    runs = [
        write_run(
            tmp_path / f"r_{n}",
            {0: first(60)},
            environments=[dict.fromkeys(names, digest)],
            seed=0,
            demonstrations__questions__n=n,
        )
        for n, digest in ((50, OLD), (100, NEW))
    ]
    (told,) = notes(swept(tmp_path, runs, own=own))
    assert told.startswith("note: the content of evaluate.world changed")
    assert "1111aaaa in r_50; 3333cccc in r_100." in told

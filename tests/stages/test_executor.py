"""The executor on records made up here: what it repeats, how many items it does at once, and how a stage ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from weakref import WeakSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import DiskError, RunFolderError, StageIncomplete, UsageError
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.storage.jsonl import read_lines
from tests.clients import Killed


@dataclass(frozen=True)
class Square:
    """A record that may have been lost to an external error, or refused by the model."""

    id: str
    value: int
    lost: str | None = None
    refused: str = ""


def answers(square: Square) -> Iterator[str | None]:
    yield LOST if square.lost is not None else square.refused or ACCEPTED


SQUARES = StageRecords(
    Square,
    noun="squares",
    role="calculator",
    outside_error=lambda square: square.lost,
    answers=answers,
    failed=lambda square: square.value < 0,
)
Do = Callable[[str, int], Awaitable[Square]]
IDS = [f"n{i}" for i in range(12)]


class Calculator:
    """Squares numbers, each after a pause of its own; remembers what it was asked, and how many at once.

    `instead` maps an id to the record that it gets or the error that it raises; after `killed_after` calls everything
    ends."""

    def __init__(
        self, *, pauses: int = 0, instead: dict[str, Square | Exception] | None = None, killed_after: int | None = None
    ) -> None:
        self.pauses, self.instead, self.killed_after = pauses, instead or {}, killed_after
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, id_: str, number: int) -> Square:
        if len(self.asked) == self.killed_after:
            raise Killed
        self.asked.append(id_)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(Random(f"{self.pauses} {id_}").randrange(1, 9)):
            await asyncio.sleep(0)
        self.at_once -= 1
        reply = self.instead.get(id_, Square(id_, number * number))
        if isinstance(reply, Exception):
            raise reply
        return reply


def go(path: Path, do: Do, *, in_flight: int = 4, records: StageRecords[Square] = SQUARES, **how) -> bytes:
    def items() -> Iterator[tuple[str, int]]:
        return ((id_, number) for number, id_ in enumerate(IDS))

    how = {"total": len(IDS)} | how
    asyncio.run(run_owed(records, path, items(), do, in_flight=in_flight, title="square", **how))
    return path.read_bytes()


WHOLE = b"".join(b'{"id":"n%d","value":%d,"lost":null,"refused":""}\n' % (i, i * i) for i in range(12))


@pytest.mark.parametrize("pauses", range(5))
def test_the_file_is_in_the_order_of_the_items_whatever_the_order_of_arrival(tmp_path, pauses) -> None:
    calculator = Calculator(pauses=pauses)
    assert go(tmp_path / "a.jsonl", calculator) == WHOLE
    assert calculator.asked[:4] == IDS[:4]


@pytest.mark.parametrize(("in_flight", "most"), [(1, 1), (3, 3), (12, 12), (99, 12)])
def test_no_more_items_are_in_flight_than_allowed(tmp_path, in_flight, most) -> None:
    calculator = Calculator(pauses=1)
    go(tmp_path / "a.jsonl", calculator, in_flight=in_flight)
    assert calculator.most_at_once == most


@given(pauses=st.integers(0, 9), killed_after=st.integers(0, 11), in_flight=st.integers(1, 12), torn=st.integers(0, 40))
def test_after_a_kill_only_missing_records_are_made(pauses, killed_after, in_flight, torn) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        with pytest.raises(Killed):
            go(path, Calculator(pauses=pauses, killed_after=killed_after), in_flight=in_flight)
        kept = [square.id for square in read_lines(path, Square)]
        with path.open("ab") as file:
            file.write(WHOLE[:torn])  # no whole line: the first one is longer
        again = Calculator(pauses=pauses + 1)
        assert go(path, again, in_flight=in_flight) == WHOLE
        assert again.asked == [id_ for id_ in IDS if id_ not in kept]


def test_a_complete_file_is_not_made_again(tmp_path) -> None:
    go(tmp_path / "a.jsonl", Calculator())
    again = Calculator()
    assert go(tmp_path / "a.jsonl", again) == WHOLE
    assert again.asked == []


def test_an_external_error_leaves_the_stage_incomplete_and_only_its_item_is_retried(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    lost = {id_: Square(id_, 0, lost=f"HTTP 503 for {id_}") for id_ in ("n2", "n7")}
    with pytest.raises(StageIncomplete) as stopped:
        go(path, Calculator(instead=lost), in_flight=1)
    assert str(stopped.value) == (
        "square: 2 of 12 squares failed because of external errors (last error: HTTP 503 for n7)\n"
        "Finished squares are saved. Run the same command again to retry the rest, or set "
        "tolerate_outside_faults to continue without them."
    )
    assert [square.id for square in read_lines(path, Square)] == IDS
    again = Calculator()
    assert go(path, again) == WHOLE
    assert again.asked == ["n2", "n7"]


def test_a_stage_may_say_itself_which_records_it_keeps(tmp_path) -> None:
    go(tmp_path / "a.jsonl", Calculator())
    again = Calculator()
    go(tmp_path / "a.jsonl", again, records=replace(SQUARES, keep=lambda square: square.value != 9))
    assert again.asked == ["n3"]


def test_an_external_error_may_have_an_empty_message(tmp_path) -> None:
    with pytest.raises(StageIncomplete, match=r"1 of 12 squares"):
        go(tmp_path / "a.jsonl", Calculator(instead={"n2": Square("n2", 0, lost="")}))


@pytest.mark.parametrize(("tolerated", "is_complete"), [(0.0, False), (0.24, False), (0.25, True), (1.0, True)])
def test_up_to_the_tolerated_share_of_items_may_be_lost(tmp_path, tolerated, is_complete) -> None:
    path, calculator = tmp_path / "a.jsonl", Calculator(instead={i: Square(i, 0, lost="HTTP 503") for i in IDS[:3]})
    if is_complete:
        go(path, calculator, tolerated=tolerated)
    else:
        with pytest.raises(StageIncomplete, match="3 of 12"):
            go(path, calculator, tolerated=tolerated)
    assert [square.lost for square in read_lines(path, Square)] == ["HTTP 503"] * 3 + [None] * 9


def test_if_the_model_refuses_every_request_a_setting_is_wrong_and_nothing_is_kept(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    refused = {id_: Square(id_, 0, refused=f"no {id_}") for id_ in IDS}
    with pytest.raises(UsageError) as stopped:
        go(path, Calculator(instead=refused), in_flight=1)
    problem, way_out = str(stopped.value).splitlines()
    assert problem == "square: calculator refused all 12 requests (last refusal: no n11)"
    assert "Change calculator.model, calculator.base_url" in way_out
    assert go(path, Calculator()) == WHOLE


@pytest.mark.parametrize("error", [UsageError("set model"), DiskError("the disk is full"), RunFolderError("damaged")])
def test_an_error_of_the_command_costs_no_finished_record(tmp_path, error) -> None:
    without_answers = replace(SQUARES, answers=StageRecords(Square, "squares", "calculator").answers)
    for records in (SQUARES, without_answers):
        with pytest.raises(type(error)):
            go(tmp_path / "squares", Calculator(instead={IDS[-1]: error}), records=records, in_flight=1)
        assert [square.id for square in read_lines(tmp_path / "squares", Square)] == IDS[:-1]


@pytest.mark.parametrize(("error", "kept"), [(UsageError("set model"), 0), (DiskError("the disk is full"), 11)])
def test_refusals_alone_are_dropped_with_an_error_of_settings_but_not_of_the_disk(tmp_path, error, kept) -> None:
    refused = {id_: Square(id_, 0, refused="too long") for id_ in IDS}
    with pytest.raises(type(error)):
        go(tmp_path / "squares", Calculator(instead=refused | {IDS[-1]: error}), in_flight=1)
    assert len(list(read_lines(tmp_path / "squares", Square))) == kept


def test_few_refusals_or_refusals_with_one_answer_among_them_are_results(tmp_path) -> None:
    refused = {id_: Square(id_, 0, refused="no") for id_ in IDS}
    assert go(tmp_path / "a.jsonl", Calculator(instead=refused), fewest_refusals=13).count(b'"no"') == 12
    del refused["n5"]
    assert go(tmp_path / "b.jsonl", Calculator(instead=refused)).count(b'"no"') == 11


def test_a_bug_cancels_the_rest_is_raised_unchanged_and_keeps_earlier_records(tmp_path) -> None:
    path, cancelled, bug = tmp_path / "a.jsonl", [], ZeroDivisionError("a bug")

    async def do(id_: str, number: int) -> Square:
        if number < 2:
            return Square(id_, number * number)
        if number == 4:
            raise bug
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(id_)
            raise
        raise AssertionError("was waited for")

    with pytest.raises(ZeroDivisionError) as raised:
        go(path, do, in_flight=3)
    assert raised.value is bug
    assert sorted(cancelled) == ["n2", "n3"]
    assert path.read_bytes() == b"".join(WHOLE.splitlines(keepends=True)[:2])


def test_workers_take_turns_even_if_nothing_waits(tmp_path) -> None:
    by_worker: dict[object, list[str]] = {}

    async def do(id_: str, number: int) -> Square:
        by_worker.setdefault(asyncio.current_task(), []).append(id_)
        return Square(id_, number * number)

    assert go(tmp_path / "a.jsonl", do, in_flight=2) == WHOLE
    assert list(by_worker.values()) == [IDS[::2], IDS[1::2]]


def test_progress_counts_items_of_earlier_runs_failures_and_external_errors(tmp_path, capsys) -> None:
    path = tmp_path / "a.jsonl"
    instead = {"n1": Square("n1", -1), "n5": Square("n5", -1), "n9": Square("n9", 0, lost="HTTP 503")}
    with pytest.raises(StageIncomplete):
        go(path, Calculator(instead=instead))
    told = capsys.readouterr().err
    assert (told.split(",")[0], told.split("s  ", 1)[1]) == ("square: 12/12", "2 failed, 1 external errors\n")
    go(path, Calculator())
    told = capsys.readouterr().err
    assert told.startswith("square: 12/12") and told.endswith(" 0 s\n")


def test_finished_records_and_items_are_freed(tmp_path) -> None:
    alive: WeakSet[Square] = WeakSet()
    taken, most_alive, calculator = 0, 0, Calculator()

    def items() -> Iterator[tuple[str, int]]:
        nonlocal taken
        taken = 0
        for number, id_ in enumerate(IDS):
            taken += 1
            yield id_, number

    async def do(id_: str, number: int) -> Square:
        nonlocal most_alive
        assert taken == len(calculator.asked) + 1
        square = await calculator(id_, number)
        alive.add(square)
        most_alive = max(most_alive, len(alive))
        return square

    how = {"total": len(IDS), "in_flight": 2, "title": "square"}
    asyncio.run(run_owed(SQUARES, tmp_path / "a.jsonl", items(), do, **how))
    assert (tmp_path / "a.jsonl").read_bytes() == WHOLE
    assert most_alive <= 4  # of two workers, each with its last and its next


def test_without_items_the_file_is_empty(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    asyncio.run(run_owed(SQUARES, path, (), Calculator(), total=0, in_flight=4, title="square"))
    assert path.read_bytes() == b""

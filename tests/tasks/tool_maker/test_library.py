"""The folder of tools, where several runs write at once."""

from pathlib import Path
from threading import Barrier, Thread

import pytest

from rest_react.errors import RunFolderError
from rest_react.records import Candidate, Step
from rest_react.tasks.tool_maker.library import CONVERSATION, FUNCTION, VERDICT, Library, MadeTool, ToolVerdict


def tool(maker: str) -> MadeTool:
    return MadeTool(ToolVerdict(maker == "a", "", maker), f"# {maker}\n", maker)


def test_of_two_runs_that_make_a_tool_at_once_one_whole_tool_stays(tmp_path: Path) -> None:
    families, together, errors = [f"family_{n}" for n in range(6)], Barrier(2), list[BaseException]()

    def write(maker: str) -> None:
        for family in families:
            together.wait()
            try:
                Library(tmp_path).write(family, tool(maker))
            except OSError as error:
                errors.append(error)

    threads = [Thread(target=write, args=(maker,)) for maker in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(Library(tmp_path).read(family) in (tool("a"), tool("b")) for family in families)
    assert sorted(path.name for path in tmp_path.iterdir()) == families


class LookedAt(type(Path())):  # type: ignore[misc]
    """A folder of tools in which another run publishes as soon as this one has found no verdict."""

    def exists(self) -> bool:
        found = super().exists()
        if self.name == VERDICT and not found:
            Library(Path(self).parents[1]).write(self.parent.name, tool("a"))
        return found


def test_a_tool_that_another_run_publishes_in_place_of_an_incomplete_one_stays(tmp_path: Path) -> None:
    (tmp_path / "word_sorting").mkdir()
    (tmp_path / "word_sorting" / FUNCTION).write_text("# half")
    Library(LookedAt(tmp_path)).write("word_sorting", tool("b"))
    assert Library(tmp_path).read("word_sorting") == tool("a")
    assert [path.name for path in tmp_path.iterdir()] == ["word_sorting"]


def test_a_tool_that_is_there_stays_and_one_that_a_kill_left_incomplete_is_replaced(tmp_path: Path) -> None:
    library = Library(tmp_path)
    for family in ("whole", "incomplete"):
        library.write(family, tool("a"))
    (tmp_path / "incomplete" / VERDICT).unlink()
    for family in ("whole", "incomplete"):
        library.write(family, tool("b"))
    assert (library.read("whole"), library.read("incomplete")) == (tool("a"), tool("b"))
    assert list(library.accepted()) == ["whole"]


def test_a_conversation_without_all_replies_is_damaged_for_its_tokens_would_be_those_of_the_policy(
    tmp_path: Path,
) -> None:
    library, turn = Library(tmp_path), Step("propose", "", (Candidate("x", 5, None, "stop"),), 0)
    made = MadeTool(ToolVerdict(True, "", "m", proposals=1, verifications=1), "", "", (turn, turn))
    library.write("whole", made)
    assert library.read("whole") == made
    conversation = tmp_path / "whole" / CONVERSATION
    conversation.write_text(conversation.read_text().splitlines(keepends=True)[0])
    with pytest.raises(RunFolderError, match=r"conversation\.jsonl has 1 of 2 replies of the maker; delete"):
        library.read("whole")
    conversation.unlink()
    with pytest.raises(RunFolderError, match="has 0 of 2 replies"):
        library.read("whole")

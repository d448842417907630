"""The folder of tools, where several runs write at once."""

from pathlib import Path
from threading import Barrier, Thread

from rest_react.tasks.tool_maker.library import FUNCTION, VERDICT, Library, MadeTool, ToolVerdict


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

"""The folder of tools: what a maker made once is found again by every later run.

    library = Library(Path("outputs/tools/gpt-4.1-3f1c9a2b"))
    library.write("word_sorting", made)
    library.read("word_sorting").verdict.accepted      # True

    word_sorting/function.py          the code that the maker wrote
    word_sorting/wrapper.txt          what the user of the tool is shown
    word_sorting/conversation.jsonl   all steps of the maker
    word_sorting/verdict.json         accepted or not, why, tries, tokens

A folder appears when it is complete. If two runs make the same tool at once, the first one is kept, and both use it.

A rejected tool is kept too: the same maker would fail again. Delete its folder to try once more.
Not here: making a tool (tasks.tool_maker.making).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rest_react.errors import RunFolderError
from rest_react.prompts import texts_hash
from rest_react.records import Step
from rest_react.storage.files import draft_folder, publish, write_file, write_json
from rest_react.storage.jsonl import read_lines, replace_lines

FUNCTION, WRAPPER, CONVERSATION, VERDICT = "function.py", "wrapper.txt", "conversation.jsonl", "verdict.json"


@dataclass(frozen=True, slots=True)
class ToolVerdict:
    """What came of making a tool. `tool` is the name of the function, `summary` its head and documentation;
    `proposals` and `verifications` count the tries, the tokens are those of the maker."""

    accepted: bool
    reason: str
    maker: str
    tool: str = ""
    summary: str = ""
    proposals: int = 0
    verifications: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class MadeTool:
    """A tool, or the attempt to make one."""

    verdict: ToolVerdict
    function: str = ""
    wrapper: str = ""
    conversation: tuple[Step, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Turn:
    id: str
    step: Step


@dataclass(frozen=True, slots=True)
class Library:
    """The tools of one maker, by family."""

    root: Path

    def read(self, family: str) -> MadeTool | None:
        """The tool of a family; None if none was made yet. Raises RunFolderError if its folder is damaged."""
        folder = self.root / family
        if not (folder / VERDICT).exists():
            return None
        try:
            verdict = msgspec.json.decode((folder / VERDICT).read_bytes(), type=ToolVerdict)
            function, wrapper = ((folder / name).read_text(encoding="utf-8") for name in (FUNCTION, WRAPPER))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{folder} is damaged ({error}); delete it, and the tool is made again") from error
        turns = tuple(turn.step for turn in read_lines(folder / CONVERSATION, _Turn))
        if len(turns) != (tries := verdict.proposals + verdict.verifications):
            raise RunFolderError(
                f"{folder / CONVERSATION} has {len(turns)} of {tries} replies of the maker; delete {folder}, and the "
                "tool is made again"
            )
        return MadeTool(verdict, function, wrapper, turns)

    def write(self, family: str, made: MadeTool) -> None:
        """Keeps a tool, whether it was accepted or not, unless another run has written one meanwhile."""
        folder = self.root / family
        if not (folder / VERDICT).exists():
            self._drop_incomplete(folder)
        turns = [_Turn(f"{family}.{number}", step) for number, step in enumerate(made.conversation)]
        with draft_folder(self.root, f".{family}.") as draft:
            replace_lines(draft / CONVERSATION, turns)
            write_file(draft / FUNCTION, made.function)
            write_file(draft / WRAPPER, made.wrapper)
            write_json(draft / VERDICT, made.verdict)
            draft.chmod(0o755)
            publish(draft, folder)

    def _drop_incomplete(self, folder: Path) -> None:
        """Removes a folder without a verdict, which `publish` would keep. Another run may publish its tool there at any
        moment, so the folder is renamed before it is looked at again, and a whole tool goes back."""
        with draft_folder(self.root, f".{folder.name}.") as draft, suppress(FileNotFoundError):
            aside = folder.rename(draft / folder.name)
            if (aside / VERDICT).exists():
                publish(aside, folder)

    def accepted(self) -> dict[str, str]:
        """The accepted tools by family, each with its head and documentation."""
        return {name: made.verdict.summary for name, made in self._accepted()}

    def digests(self) -> dict[str, str]:
        """A hash of the function and the wrapper of each accepted tool."""
        return {name: texts_hash([made.function, made.wrapper]) for name, made in self._accepted()}

    def _accepted(self) -> Iterator[tuple[str, MadeTool]]:
        for verdict in sorted(self.root.glob(f"[!.]*/{VERDICT}")):
            made = self.read(verdict.parent.name)
            if made is not None and made.verdict.accepted:
                yield verdict.parent.name, made


def folders_of_tools(root: Path) -> list[Path]:
    """The folders that have tools: the root, or those of its makers."""
    found = {verdict.parents[1] for pattern in ("", "[!.]*/") for verdict in root.glob(f"{pattern}[!.]*/{VERDICT}")}
    return sorted(found)


def known_at_start(library: Library, run_folder: Path, to_make: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    """The tools that were known when the run first asked its dispatcher, and those that it may have made (`to_make`),
    so that it is shown the same list for every question. Tools that are made later are used at once."""
    path = run_folder / f"known_tools_{library.root.name}.json"  # another maker knows other tools
    if not path.exists():
        write_json(path, library.accepted() | dict(to_make()))
    try:
        found: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); restore it, or choose another run=<name>") from error
    return found


def folder_name(model: str) -> str:
    """The name of a model as the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", model).strip("._") or "maker"

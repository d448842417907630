"""Reads the code in a model's reply, with `ast`; nothing is run here.

    read_call("answer = f(3)  # [END]", "f")                      # Code("answer = f(3)", "")
    read_function("```python\\ndef f(x):\\n    return x\\n```")      # Code("def f(x): ...", "", name="f")

An empty reply is never code. The canonical form of a call is what `ast.unparse` makes of it, so that calls that differ
in spaces, quotes or comments are one call.
Not here: running code (tasks.tool_maker.sandbox).
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rest_react.model_output.thinking import after_thinking
from rest_react.prompts import STOP

_FENCE = re.compile(r"[ \t]*```[\w+-]*[ \t]*")
_SECTION = re.compile(r"^#+ *question *(\d+)\b.*$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^[ \t#*]*question *(\d+)\b.*$", re.MULTILINE | re.IGNORECASE)
_ANSWER = re.compile(
    r"^[^\w\n]*(?:the |final )*answer\b[*`'\"]*"
    r"(?:[ \t]+is\b[ \t]*:?|[ \t]*[:=]|[ \t]+[–-][ \t]|[ \t]+(?=[(\d\"'$])|[ \t\r]*$)(.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_LONGEST = 20_000
_LONGEST_NUMBER = 1000  # digits: a number in hexadecimal form may be longer than Python writes in decimal form
_DEEPEST = 100  # levels of the syntax tree; `ast.unparse` calls itself several times for each


@dataclass(frozen=True, slots=True)
class Code:
    """Code, or the `problem` because of which there is none. `name` is that of a function, `summary` its first line and
    its documentation."""

    text: str = ""
    problem: str = ""
    name: str = ""
    summary: str = ""


def read_function(text: str) -> Code:
    """The code of a function: of a reply's fenced blocks, or of the reply. Its last top-level function is the tool."""
    code = code_of(text)
    tree, problem = _parsed(code)
    if tree is None:
        return Code(problem=problem)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        return Code(problem="the reply defines no function")
    tool = functions[-1]
    documented = " ".join((ast.get_docstring(tool) or "").split())
    arguments, problem = _canonical(tool.args)
    if problem:
        return Code(problem=problem)
    head = f"def {tool.name}({arguments}):"
    return Code(f"{code.strip()}\n", "", tool.name, f"{head}\n    {documented}" if documented else head)


def read_call(text: str, tool: str = "") -> Code:
    """The code of a call: it must assign `answer`, and name the tool where one is given."""
    tree, problem = _parsed(code_of(text))
    if tree is None:
        return Code(problem=problem)
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if "answer" not in assigned:
        return Code(problem="the code does not assign `answer`")
    named = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if tool and tool not in named:
        return Code(problem=f"the code does not call {tool}")
    return Code(*_canonical(tree))


def read_calls(text: str, questions: int) -> list[str]:
    """The part of a reply for each question, under the heading `# question <n>`; empty where there is none. The
    headings stand in the code, or around blocks of code, as in a chat."""
    _, *parted = _SECTION.split(code_of(text))
    if not parted:
        _, *parted = _HEADING.split((after_thinking(text) or "").split(STOP, 1)[0])
    parts = dict(zip(parted[::2], map(code_of, parted[1::2]), strict=True))
    return [parts.get(str(number), "") for number in range(1, questions + 1)]


def read_answer(text: str) -> str:
    """The answer of a model without a tool: behind the last `Answer:` or on the next line with a text, otherwise the
    last line; empty if none."""
    said = (after_thinking(text) or "").split(STOP, 1)[0]
    if found := list(_ANSWER.finditer(said)):
        behind = [found[-1][1], *said[found[-1].end() :].splitlines()]
        return next((answer for line in behind if (answer := line.strip(" \t*`:"))), "")
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")


def code_of(text: str) -> str:
    """The fenced blocks of a reply, joined; without one, the whole reply up to the end mark."""
    said = (after_thinking(text) or "").split(STOP, 1)[0]
    fenced = list(_fenced(said))
    return "\n".join(fenced) if fenced else said


def _fenced(text: str) -> Iterator[str]:
    """The content of each fenced block, line by line: a pattern for blocks would read on from every open fence."""
    block: list[str] | None = None
    for line in text.split("\n"):
        if block is None:
            block = [] if _FENCE.fullmatch(line) else None
        elif line.strip(" \t") == "```":
            yield "".join(f"{inner}\n" for inner in block)
            block = None
        else:
            block.append(line)


def _parsed(code: str) -> tuple[ast.Module | None, str]:
    if not code.strip():
        return None, "the reply has no code"
    if len(code) > _LONGEST:
        return None, f"the code has more than {_LONGEST} characters"
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, f"not Python: {error}"
    if any(isinstance(node, ast.Constant) and _is_too_long(node.value) for node in ast.walk(tree)):
        return None, f"the code has a number of more than {_LONGEST_NUMBER} digits"
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return (None, f"the code is nested more than {_DEEPEST} levels deep") if level else (tree, "")


def _canonical(node: ast.AST) -> tuple[str, str]:
    """The canonical form, and why there is none: before Python 3.12 some texts inside f-strings have no spelling."""
    try:
        return ast.unparse(node), ""
    except ValueError as error:
        return "", f"the code has no canonical form: {error}"


def _is_too_long(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= 10**_LONGEST_NUMBER

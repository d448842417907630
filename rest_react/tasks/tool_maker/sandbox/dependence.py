"""Whether the answer of a call can come from the tool, read from its code with `ast`; nothing is run here.

    >>> depends_on("words = f([2, 1])\\nanswer = words[0]", "f"), depends_on("r = f(1)[0]\\nanswer = 'B'", "f")
    (True, False)

Values are followed through assignments, loops, conditions, functions and changes in place (`found.append(f(x))`). What
is assigned anew at the top level is forgotten, so `answer = f(x)` and then `answer = "B"` does not depend on the tool.
Where the code is unusual the answer is True: this finds answers that were written by hand, not every disguise of one.
Not here: running the call with another result of the tool (program), which finds the other ones.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Flow: TypeAlias = tuple[set[str], set[str]]  # a value of the tool in one of the first names reaches all of the second


def depends_on(call: str, tool: str) -> bool:
    """Whether the value of `answer` at the end can depend on the tool. The code has been parsed and run before."""
    body = [(statement, _flows(statement)) for statement in ast.parse(call).body]
    reached = {tool}
    for _ in range(2):  # a function may use what is defined behind it
        for statement, flows in body:
            reached -= _overwritten(statement, reached)
            _spread(flows, reached)
    return "answer" in reached


def _overwritten(statement: ast.stmt, reached: set[str]) -> set[str]:
    """The names that get another value for certain: those of an assignment, outside of blocks, of other values."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
        return set()
    targets = _targets(statement)
    whole = all(isinstance(target, ast.Name) for target in targets)
    return set() if not whole or _names([statement.value]) & reached else _names(targets)


def _spread(flows: Sequence[_Flow], reached: set[str]) -> None:
    """Adds to `reached` the names that a value of the tool reaches, in any order of the flows: the second round of a
    loop sees what the first one set. Each flow counts once, since model-written code may chain thousands of them."""
    users: dict[str, list[int]] = defaultdict(list)
    for number, (uses, _) in enumerate(flows):
        for name in uses:
            users[name].append(number)
    left = {number: names for number, (_, names) in enumerate(flows)}
    pending = [name for name in users if name in reached]
    while pending:
        for number in users.pop(pending.pop(), ()):
            names = left.pop(number, set())
            pending += names - reached
            reached |= names


def _flows(statement: ast.stmt) -> list[_Flow]:
    """The flows of a statement; of a block, those of all statements inside, too."""
    inside = ast.walk(statement) if isinstance(statement, _BLOCKS) else [statement]
    return [flow for one in inside if isinstance(one, ast.stmt) for flow in _own_flows(one)]


def _own_flows(statement: ast.stmt) -> Iterator[_Flow]:
    nodes = list(ast.walk(statement))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    if isinstance(statement, _BLOCKS):
        # What is set inside also depends on its condition or on what it goes through.
        heads = (child for child in ast.iter_child_nodes(statement) if isinstance(child, (ast.expr, ast.withitem)))
        yield _names(heads), names
    elif isinstance(statement, _FUNCTIONS):
        yield names, {statement.name}
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        yield _names([statement.value] if statement.value else []), _names(_targets(statement))
    else:  # also `words.sort(key=f)`, `answer += f(x)`: each name may be changed by the others
        yield names, names
    for node in nodes:
        if isinstance(node, ast.NamedExpr):
            yield _names([node.value]), _names([node.target])


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}

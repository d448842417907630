"""Whether the answer of a call can come from the tool, read from its code with `ast`; nothing is run here.

    >>> depends_on("words = f([2, 1])\\nanswer = words[0]", "f"), depends_on("r = f(1)[0]\\nanswer = 'B'", "f")
    (True, False)

Values are followed through assignments, loops, conditions, functions and changes in place (`found.append(f(x))`). What
is assigned anew at the top level is forgotten, so `answer = f(x)` and then `answer = "B"` does not depend on the tool.
Where the code is unusual the answer is True: this finds answers that were written by hand, not every disguise of one.
Not here: running the call with another result of the tool (program), which finds the other ones.
"""

import ast
from collections.abc import Iterable, Sequence

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def depends_on(call: str, tool: str) -> bool:
    """Whether the value of `answer` at the end can depend on the tool. The code has been parsed and run before."""
    tree = ast.parse(call)
    reached = {tool}
    for _ in range(2):  # a function may use what is defined behind it
        _follow(tree.body, reached, under_condition=False)
    return "answer" in reached


def _follow(body: Sequence[ast.stmt], reached: set[str], *, under_condition: bool) -> None:
    """Adds to `reached` the names that a value of the tool reaches in these statements, and takes away those that get
    another value for certain."""
    for statement in body:
        if isinstance(statement, _BLOCKS):
            _follow_block(statement, reached)
        elif isinstance(statement, _FUNCTIONS):
            _set([statement.name], reached, uses=_uses(statement, reached), certain=False)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            whole = all(isinstance(target, ast.Name) for target in targets)
            uses = statement.value is not None and _uses(statement.value, reached)
            _set(_names(targets), reached, uses=uses, certain=whole and not under_condition)
        else:  # also `words.sort(key=f)`, `answer += f(x)`: each name may be changed by the others
            _set(_names([statement]), reached, uses=_uses(statement, reached), certain=False)
        for inner in ast.walk(statement):
            if isinstance(inner, ast.NamedExpr):
                _set(_names([inner.target]), reached, uses=_uses(inner.value, reached), certain=False)


def _follow_block(block: ast.stmt, reached: set[str]) -> None:
    """A block: what is set inside also depends on its condition or on what it goes through."""
    heads = [child for child in ast.iter_child_nodes(block) if isinstance(child, (ast.expr, ast.withitem))]
    bodies = [child for child in ast.walk(block) if isinstance(child, ast.stmt) and child is not block]
    if any(_uses(head, reached) for head in heads):
        _set(_names([block]), reached, uses=True, certain=False)
    before = -1
    while before != len(reached):  # the second round of a loop sees what the first one set
        before = len(reached)
        for statement in bodies:
            if not isinstance(statement, _BLOCKS):
                _follow([statement], reached, under_condition=True)
            elif any(_uses(child, reached) for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)):
                _set(_names([statement]), reached, uses=True, certain=False)


def _set(names: Iterable[str], reached: set[str], *, uses: bool, certain: bool) -> None:
    if uses:
        reached.update(names)
    elif certain:
        reached.difference_update(names)


def _uses(node: ast.AST, reached: set[str]) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id in reached for inner in ast.walk(node))


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}

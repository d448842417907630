"""The verifier of calls: whether the values that a call gives to the tool come from its question.

    >>> ungrounded("answer = sorted_words(['pear', 'plum'])", 'Sort these words: pear, fig', documentation="")
    ["'plum' stands neither in the question nor in the tool's documentation"]

A small model often copies a call that its prompt shows for another question. Such a call runs and answers, so execution
alone would let it train. Here each text and each number of a call must stand in the question, or in the head and the
documentation of the tool (keywords such as "left"). Whole numbers up to ten, which may be counted or spelled out, pass.
Without labels. A call that leaves values out passes too: `improve.selector=majority` may still outvote it.

    >>> brought("answer = same('fig, pear')", 'Sort these words: pear, fig')
    ['fig, pear']

When a tool is made, no value that the maker brings into a call may be the right answer: then the call has the answer,
and the tool need not compute it. Keys and values of a mapping are data for the tool: which bracket closes which. A
tool that only returns one of them is told by what it returns (making).
Not here: running calls (sandbox), and the use of violations (selection.filters, by `improve.keep=verified`).
"""

import ast
import re
from collections.abc import Iterator

_COUNTED = 10


def ungrounded(call: str, question: str, *, documentation: str) -> list[str]:
    """A message for each value of the code of a call that has no source; the code is parsed, never run."""
    sources = (_plain(question), _plain(documentation))
    values = dict.fromkeys(_values(ast.parse(call)))
    return [
        f"{value!r} stands neither in the question nor in the tool's documentation"
        for value in values
        if not any(_stands_in(_plain(str(value)), source) for source in sources)
    ]


def brought(call: str, question: str) -> list[str]:
    """The texts of the values of a call that do not stand in the question. A list is a value too: its values, separated
    by commas. Case, punctuation and leading zeros do not count."""
    tree = _WithoutMappings().visit(ast.parse(call))
    texts = dict.fromkeys([*map(str, _values(tree)), *_lists(tree)])
    return [text for text in texts if not _said(text, question)]


class _WithoutMappings(ast.NodeTransformer):
    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        return ast.Dict([], [])


def _lists(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            values = [one.value for one in node.elts if isinstance(one, ast.Constant)]
            if len(values) == len(node.elts):
                yield ", ".join(map(str, values))


def _said(text: str, question: str) -> bool:
    """Whether the words of a text follow each other in the question; of brackets (no words) the characters."""
    part, whole = _words(text), _words(question)
    if not part:
        return re.sub(r"[\s,]", "", text) in re.sub(r"[\s,]", "", question)
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


def _words(text: str) -> list[str]:
    return [word.lstrip("0") for word in re.findall(r"\w+", text.casefold())]


def _values(tree: ast.AST) -> Iterator[str | int | float]:
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        counted = isinstance(value, int) and 0 <= value <= _COUNTED  # True and False too
        if isinstance(value, str | int | float) and not counted and str(value).strip():
            yield value


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _stands_in(value: str, source: str) -> bool:
    """As whole words: 30 does not stand in 130."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", source) is not None

"""The values of a call's fields: texts, yes or no, link ids, accepting many spellings.

    >>> text_of({"query": ast.parse('"author of " "Dusk"', mode="eval").body}, "query")
    'author of Dusk'

Strings may be joined (`"a" "b"`, `"a" + "b"`) or f-strings. In thoughts a placeholder is kept as text; any other field
with a placeholder is unreadable, because its value is unknown. Nothing is evaluated.
Not here: which fields a call has (call_fields).
"""

import ast
import re
from collections.abc import Mapping

from rest_react.model_output.lenient_parser import Unreadable


def normalise_name(name: str) -> str:
    """The name without case, underscores, dashes and blanks."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def items_of(node: ast.Dict) -> dict[str, ast.expr]:
    """The entries of an object by their normalised names."""
    return {
        normalise_name(key.value): value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def thoughts_of(fields: Mapping[str, ast.expr]) -> str:
    """The thoughts; empty if there are none."""
    node = fields.get("thoughts")
    text = _joined(node, placeholders=True) if node is not None else None
    return _clean(text) if text is not None else text_of(fields, "thoughts", "")


def text_of(fields: Mapping[str, ast.expr], field: str, default: str | None = None) -> str:
    """The text of a field, or `default` without a value. Raises Unreadable."""
    node = fields.get(field)
    joined = _joined(node) if node is not None else None
    value = _constant(node) if joined is None else joined
    if value is None and default is not None:
        return default
    if joined is None and isinstance(node, (ast.JoinedStr, ast.BinOp)):
        raise Unreadable(f"{field} is put together of values that are not known")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unreadable(f"no text in {field}")
    return _clean(str(value))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _joined(node: ast.expr, *, placeholders: bool = False) -> str | None:
    """The text of strings joined by `+`, or of an f-string; None if there is anything else."""
    texts: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        right = _joined(node.right, placeholders=placeholders)
        if right is None:
            return None
        texts.append(right)
        node = node.left
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        texts.append(node.value)
    elif isinstance(node, ast.JoinedStr):
        pieces = [_piece(piece, placeholders=placeholders) for piece in node.values]
        if None in pieces:
            return None
        texts.append("".join(piece or "" for piece in pieces))
    else:
        return None
    return "".join(reversed(texts))


def _piece(node: ast.expr, *, placeholders: bool) -> str | None:
    """A part of an f-string: text, a constant in braces, or the placeholder as text."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    value = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value.bit_length() <= 64:
        return str(value.value)
    if not placeholders:
        return None
    try:
        return f"{{{ast.unparse(value)}}}"
    except (ValueError, RecursionError):
        # Before Python 3.12 some texts in an f-string have no spelling; nor has a number too long, or a deep tree.
        return None


def truth_of(fields: Mapping[str, ast.expr]) -> bool:
    """Whether a check is passed. Raises Unreadable."""
    node = fields.get("passed")
    value = node.id if isinstance(node, ast.Name) else _constant(node)
    match str(value).strip().strip("\"'.!").lower():
        case "true" | "1" | "yes" | "passed" | "pass":
            return True
        case "false" | "0" | "no" | "failed" | "fail":
            return False
    raise Unreadable("passed is neither True nor False")


def remarks_of(fields: Mapping[str, ast.expr]) -> tuple[str, ...]:
    """Comments given as an argument: one text, or a list of them."""
    node = fields.get("comments")
    nodes = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node] if node is not None else []
    texts = [_joined(one, placeholders=True) for one in nodes]
    return tuple(line for text in texts if text for line in [" ".join(_clean(text).split())] if line)


def link_ids_of(fields: Mapping[str, ast.expr]) -> tuple[int, ...]:
    """The selected link ids, each once. Raises Unreadable."""
    node = fields.get("selected_link_ids")
    if node is None:
        raise Unreadable("no selected_link_ids")
    ids: list[int] = []
    for element in _elements(node):
        for number in _numbers(element):
            if number not in ids:
                ids.append(number)
    return tuple(ids)


def _elements(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return list(node.elts)
    if isinstance(node, ast.Constant) and node.value is None:
        return []
    return [node]


def _numbers(node: ast.expr) -> list[int]:
    """The link ids in one element: a number, a text with numbers, or a ResultItem."""
    if isinstance(node, ast.Call):
        given = {normalise_name(keyword.arg): keyword.value for keyword in node.keywords if keyword.arg}
        node = given.get("linkid", node.args[0] if node.args else node)
    elif isinstance(node, ast.Dict):
        items = items_of(node)
        node = items.get("linkid", items.get("id", node))
    value = str(_constant(node)).strip()
    if alone := re.fullmatch(r"\D{0,20}(\d{1,9})\D{0,5}", value):
        return [int(alone[1])]
    if re.fullmatch(r"[\d\s,;\[\]]*", re.sub(r"link_id\s*=", "", value)):
        return [int(number) for number in re.findall(r"\d+", value) if len(number) < 10]
    raise Unreadable("selected_link_ids holds something that is no link id")


def _constant(node: ast.expr | None) -> object:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int) and value.bit_length() > 64:
        # Python refuses to spell out an int of thousands of digits; no field holds one anyway.
        raise Unreadable("a number out of range")
    return value

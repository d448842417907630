"""Renders a page from a template of templates/ as one file that needs no network.

    text = fill("compare.html.j2", title="Runs a, b", headings=headings, view=view)

Style, scripts and data are in the file, and its content security policy allows nothing else. All values are escaped.
`write_page` writes a page with much data piece by piece.
Not here: the content of a page (report), and the trajectories in it (reporting.packing).
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rest_react.metrics.number_formats import percent, points
from rest_react.storage.files import replacing
from rest_react.text_safety.escaping import plain

if TYPE_CHECKING:
    from jinja2 import Environment


_PARTS = Path(__file__).parent / "templates"


def fill(template: str, *, scripts: Sequence[str] = (), **values: Any) -> str:
    """Renders a template with its style and scripts, and a security policy that allows only these."""
    return "".join(_pieces(template, scripts, values))


def write_page(path: Path, template: str, *, scripts: Sequence[str] = (), **values: Any) -> None:
    """Writes what `fill` renders, atomically, without the whole page in memory."""
    with replacing(path) as file:
        for piece in _pieces(template, scripts, values):
            file.write(piece.encode("utf-8", "replace"))


def _pieces(template: str, scripts: Sequence[str], values: Mapping[str, Any]) -> Iterator[str]:
    style = (_PARTS / "page.css").read_text(encoding="utf-8")
    code = [(_PARTS / name).read_text(encoding="utf-8") for name in scripts]
    policy = f"default-src 'none'; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    if code:
        policy += f"; script-src {' '.join(map(_hash, code))}; require-trusted-types-for 'script'"
    parts = {"policy": policy, "style": Markup(style), "scripts": [Markup(text) for text in code]}
    return templates().get_template(template).generate(**values, **parts)


def templates() -> "Environment":
    """The Jinja environment of templates/. All values are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rest_react.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "plain": lambda text: Markup(plain(str(text)))}
    return environment


def _hash(text: str) -> str:
    """The hash of a style or a script in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

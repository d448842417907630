"""Redacts secrets in text: passwords and keys inside URLs, and those of the proxies in the environment.

    >>> redact("no reply from http://me:hunter2@proxy:3128/v1?api_key=abc&n=1")
    'no reply from http://***@proxy:3128/v1?api_key=***&n=1'
    >>> secret_in("http://me:hunter2@host/v1"), secret_in("https://host/v1?key=abc"), secret_in("https://host:8000/v1")
    ('a user name or a password', 'a key', '')

Every error of this package and every line on the terminal passes through `redact`. Settings with a secret are refused
(config.load), because settings are written to files.
A server's error message may repeat the API key, so it passes through `redact_reply` first.
Not here: reading keys from the environment (remote.http_client).
"""

import base64
import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

# User and password: the text before the host, up to the last @. A password may contain / or # where no port can be, up
# to a length, so that a long text of addresses is not read to its end from each of them.
_USER = re.compile(r"""(?<=://)(?:[^\s/?#"<>]*@|[^\s/?#@:"<>]*:(?!\d{0,5}(?:[/?#\s"']|$))[^\s@"<>]{0,1000}@)""")
_PART = r"[\w.%\[\]-]*"
_SECRET_NAME = (
    rf"{_PART}(?:api[_-]?key|access[_-]?key|token|secret|passw|pwd|signature|credential){_PART}"
    r"|(?:[\w.-]*[_.-])?(?:key|auth|authorization|sig|code)"
)
_QUERY = re.compile(rf"""([?&;](?:{_SECRET_NAME})=)[^\s&#"'<>]+""", re.IGNORECASE)
_HEADER = re.compile(r"""(authorization["']?\s*[:=]\s*["']?\w+\s+)[^\s"']+""", re.IGNORECASE)
# Parts of a key as error messages show them (`sk-ab***yz`, `sk-...wxyz`), and digests of a key.
# Each part begins where a word begins, so that a long text without spaces is read once, not once from each character.
_KEY_LIKE = re.compile(
    r"(?<![^\s'\"`=:])[^\s'\"`=:]*\*{3,}[^\s'\"`.,]*|\bsk-[\w.-]{4,}"
    r"|(?<![\w-])-*(?=\w+-)[\w-]*\.{3}\w{2,}|\b[0-9a-f]{32,}\b"
)
_SHORTEST = 5  # characters; replacing shorter secrets would also replace parts of ordinary words


def redact(text: str) -> str:
    """The text with each secret replaced by ***, and each lone surrogate (which no UTF-8 file can hold) by `?`."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _HEADER.sub(r"\1***", _QUERY.sub(r"\1***", _USER.sub("***@", text)))
    for secret in _of_proxies():
        text = text.replace(secret, "***")
    return text


def secret_in(text: str, *, address: bool = False) -> str:
    """The kind of secret in a URL inside the text; empty if there is none. `address`: the whole text is an address,
    with or without http://."""
    if _USER.search(text) or (address and re.match(r"[^/?#]*@", text)):
        return "a user name or a password"
    return "a key" if _QUERY.search(text) else ""


def _of_proxies() -> Iterator[str]:
    """User and password of each proxy in the environment, in every encoding in which an error may show them."""
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy") and "@" in value:
            user = value.rpartition("@")[0].rpartition("://")[2]
            forms = (user, unquote(user))
            coded = [base64.b64encode(form.encode("utf-8", "replace")).decode() for form in forms]
            yield from (form for form in (*forms, *coded) if len(form) >= _SHORTEST)
            passwords = [form.partition(":")[2] for form in forms]
            yield from (form for form in passwords if len(form) >= _SHORTEST)


def redact_reply(text: str, key: str, longest: int = 300) -> str:
    """A server's message on one line of at most `longest` characters; the key, and parts of keys, become ***."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    if _is_key(key):
        line = _KEY_LIKE.sub("***", redact_key(line, key))
    return line if len(line) <= longest else line[:longest] + " ..."


def redact_key(text: str, key: str) -> str:
    """The text without the key itself. Parts of keys stay, because ids and names of models look like them."""
    return text.replace(key, "***") if _is_key(key) else text


def _is_key(key: str) -> bool:
    # A short one ("none") is a placeholder; replacing it would also replace parts of ordinary words.
    return len(key) >= 8

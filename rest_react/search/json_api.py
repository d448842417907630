"""Searches through the JSON API of a search engine: SearXNG, Brave, Tavily, Serper, Exa, or another one.

    search=brave        # configs/search/brave.yaml: address, key, and the names of fields

    GET https://api.search.brave.com/res/v1/web/search?q=who+founded+Ostrim&count=3
    {"query": {...}, "web": {"results": [{"url": "https://...", "title": "Ostrim", "description": "..."}]}}

An API is a file of settings. A reply with the field `answered` but without results found nothing; any other reply
without results is an outage. Engines that a metasearch could not ask (`unanswered`) make an empty reply an outage, too.
Redirects are refused, since they send query and key to another address.
Not here: passages of a retrieval server (retrieval_server), and pages of engines without an API (web).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.remote.failures.error_meanings import meaning_of
from rest_react.remote.failures.error_replies import error_reply
from rest_react.remote.http_client import HttpReply, get, key_from, open_session, post, scheme_problem
from rest_react.remote.json_reply import decode_reply
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry
from rest_react.remote.whole_reply import PAGE_MB, place_of
from rest_react.search.engine_settings import WEB_LACKS_WORLD, SearchContext, SearchSettings
from rest_react.search.html_text import web_text
from rest_react.search.refused_query import AccessRefused, QueryRefused, search_or_fault
from rest_react.setting_types import Count, Name, Positive
from rest_react.text_safety.redaction import redact_reply, secret_in

_KEY = "{key}"


@dataclass(frozen=True, slots=True)
class JsonSearchSettings(SearchSettings):
    """A search engine with a JSON API. Fields of the reply are dotted paths."""

    gives_pages: ClassVar[bool] = True

    kind: Literal["json"]
    url: Name  # the whole address
    method: Literal["GET", "POST"]  # GET: parameters in the address; POST: as JSON
    api_key_env: str | None  # the environment variable that holds the key; null: no key
    headers: dict[str, str]  # sent with each request; {key} stands for the key
    query: Name  # the parameter with the query
    count: str | None  # the parameter with the number of results; null: there is none
    most: Count  # the largest number of results that may be requested
    parameters: dict[str, Any]  # other parameters; {key} stands for the key here, too
    answered: Name  # a field of every reply that is an answer, also of one without results
    unanswered: str | None  # a field that is not empty if engines did not answer; null: there is none
    results: Name  # the list of results
    source: Name  # a result's address
    title: Name  # its title
    snippet: tuple[str, ...]  # its text: the first of these fields that is not empty; parts of a list are joined
    in_flight: Count  # requests at once
    requests_per_minute: Positive | None  # at most; null: no limit
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request

    def open(self, context: SearchContext) -> "JsonSearch":
        return JsonSearch(self)

    def lacks_world(self) -> str:
        return WEB_LACKS_WORLD

    def problems(self, path: str) -> Iterator[str]:
        if problem := scheme_problem(self.url):
            yield f"{path}.url: {problem}"
        if secret := secret_in(self.url, address=True):
            yield f"{path}.url: holds {secret}; store it in an environment variable and name that in api_key_env"
        sent = {"headers": self.headers, "parameters": self.parameters}
        if (_with_key(sent, "") != sent) != (self.api_key_env is not None):
            yield (
                f"{path}.headers: exactly with api_key_env one of them, or one of {path}.parameters, must contain "
                f"{_KEY}, where the key is put"
            )
        if self.method == "GET" and any(isinstance(value, (dict, list)) for value in self.parameters.values()):
            yield f"{path}.parameters: a GET request has no nested parameters; set method=POST, or name each one"


class JsonSearch:
    """A `Search` through a JSON API. `first_wait_s` is the wait before the second try."""

    def __init__(self, settings: JsonSearchSettings, *, first_wait_s: float = 1.0) -> None:
        self._settings = settings
        self._where = urlsplit(settings.url)._replace(query="").geturl()
        self._backoff = Backoff(tries=settings.tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(settings.in_flight, settings.requests_per_minute)

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most `k` hits, best first. Raises OutsideFault after the last try, UsageError for a wrong key or URL,
        ModelFault if the engine refuses this query (for example as too long) and answers another one."""
        if not query.strip():
            return []
        return await search_or_fault(self._search, query, k)

    async def _search(self, query: str, k: int) -> list[Hit]:
        key = key_from(self._settings.api_key_env)

        async def attempt() -> list[Hit]:
            return read_hits(await self._ask(query, k, key), self._settings)[:k]

        return await retry(attempt, what=self._where, backoff=self._backoff, limiter=self._limiter)

    async def _ask(self, query: str, k: int, key: str) -> bytes:
        s = self._settings
        asked = {**_with_key(s.parameters, key), s.query: query} | ({s.count: min(k, s.most)} if s.count else {})
        headers = _with_key(s.headers, key)
        async with open_session(s.url, s.timeout_s, headers) as session:
            if s.method == "POST":
                reply = await post(session, s.url, msgspec.json.encode(asked), what=self._where, most_mb=PAGE_MB)
            else:
                joint = "&" if urlsplit(s.url).query else "?"
                address = f"{s.url}{joint}{urlencode(_spelt(asked))}"
                reply = await get(session, address, what=self._where, most_mb=PAGE_MB)
        if not 200 <= reply.status < 300:
            self._raise_refusal(reply, key)
        return reply.body

    def _raise_refusal(self, reply: HttpReply, key: str) -> None:
        error = error_reply(reply.status, reply.body, reply.headers)
        said = f"{self._where}: HTTP {reply.status}: {redact_reply(error.message, key)}"
        if 300 <= reply.status < 400:
            raise UsageError(
                f"{self._where}: HTTP {reply.status}: the server redirects the query to {place_of(error.location)}, "
                "which is refused; set search.url to the final address"
            )
        meaning, env = meaning_of(error), self._settings.api_key_env
        if meaning == "again":
            raise TryAgain(said, error.retry_after, refused=True)
        if reply.status == 403 and env is None:
            raise AccessRefused(
                f"{said}; the engine refuses access. SearXNG: add json to search.formats in its settings.yml; another "
                "engine: set search.api_key_env; or a firewall refuses this machine"
            )
        if meaning == "account":
            raise OutsideFault(f"{said} (quota used up or account closed)")
        if meaning == "key" or reply.status == 403:
            raise UsageError(
                f"{said}; {f'check the key in {env}' if env else 'set search.api_key_env: it needs a key'}"
            )
        if meaning == "settings":
            raise UsageError(f"{said}; check search.url and search.parameters")
        raise QueryRefused(said)


def read_hits(raw: bytes, s: JsonSearchSettings) -> list[Hit]:
    """The results in a reply, best first. Raises TryAgain if the reply is not an answer."""
    try:
        reply = decode_reply(raw)
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"unreadable reply ({error})") from error
    answered = _field(reply, s.answered)
    if answered is None or answered is False:
        raise TryAgain(f"the reply has no field {s.answered}")
    around = s.results.rpartition(".")[0]
    while around:  # `{"web": "quota"}` has no `web.results`, but is not an answer
        if not isinstance(_field(reply, around), Mapping | None):
            raise TryAgain(f"the field {around} of the reply is not an object")
        around = around.rpartition(".")[0]
    listed = _field(reply, s.results)
    if listed is not None and not isinstance(listed, list):
        raise TryAgain(f"the field {s.results} of the reply is not a list")
    hits = [
        Hit(_text(item, s.source), web_text(_text(item, s.title)), web_text(_snippet(item, s))) for item in listed or []
    ]
    hits = [hit for hit in hits if hit.source and (hit.title or hit.snippet)]
    if not hits and s.unanswered and (silent := _field(reply, s.unanswered)):
        raise TryAgain(f"no results, and engines did not answer ({silent!s:.200})")
    if listed and not hits:
        raise TryAgain(f"no result has {s.source} and a text; are the names of the fields right?")
    return hits


def _snippet(item: object, s: JsonSearchSettings) -> str:
    return next((text for name in s.snippet if (text := _text(item, name))), "")


def _text(item: object, name: str) -> str:
    value = _field(item, name)
    if isinstance(value, list):
        return " … ".join(part.strip() for part in value if isinstance(part, str) and part.strip())
    return value.strip() if isinstance(value, str) else ""


def _field(value: object, path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _with_key(value: Any, key: str) -> Any:
    """A header, a parameter, or several, with the key in place of {key}."""
    if isinstance(value, Mapping):
        return {name: _with_key(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_key(inner, key) for inner in value]
    return value.replace(_KEY, key) if isinstance(value, str) else value


def _spelt(parameters: Mapping[str, object]) -> dict[str, str]:
    """The parameters as they stand in an address, without those that are null."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in parameters.items()
        if value is not None
    }

"""The fake search engine: answers from a dict, and goes down where it is told to.

    search = RecordedSearch({"birthplace of Ada Mell": [Hit("p1", "Ada Mell", "...")]}, outages=frozenset({"weather"}))

A query that was not recorded has no results; a query in `outages` raises `OutsideFault`, as a real outage would.
Not here: any matching of queries; they are compared letter by letter.
"""

from collections.abc import Mapping, Sequence

from rest_react.errors import OutsideFault
from rest_react.records import Hit


class RecordedSearch:
    """A `Search` over recorded queries."""

    def __init__(self, hits: Mapping[str, Sequence[Hit]], *, outages: frozenset[str] = frozenset()) -> None:
        self._hits = hits
        self._outages = outages

    async def search(self, query: str, k: int) -> list[Hit]:
        """The first k recorded hits."""
        if query in self._outages:
            raise OutsideFault(f"recorded search: outage at query {query!r}")
        return list(self._hits.get(query, ()))[:k]

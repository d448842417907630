"""Tells a query that an engine refuses from an engine that refuses every query.

    await search_or_fault(search, "a query of 9,000 characters", 3)    # ModelFault: it answers another query

An engine may answer 400 or 422 both to a query that is too long and to a wrong setting. The first belongs to one
trajectory, the second to the whole run. So a refused query is followed by a harmless one.
Not here: what counts as a refusal (each client).
"""

from collections.abc import Awaitable, Callable

from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.records import Hit

_HARMLESS = "weather"


class QueryRefused(RestReactError):
    """The engine refused a query. It never leaves `search_or_fault`."""


class AccessRefused(QueryRefused):
    """The engine refused access: to this query, as a firewall does, or to all. The message says what to set then."""


async def search_or_fault(search: Callable[[str, int], Awaitable[list[Hit]]], query: str, k: int) -> list[Hit]:
    """The hits of `search`. Raises ModelFault if it refuses this query and answers a harmless one; if it refuses both,
    OutsideFault, or UsageError if it refuses access; and the other errors of `search`."""
    try:
        return await search(query, k)
    except QueryRefused as refusal:
        said = str(refusal)
    try:
        await search(_HARMLESS, 1)
    except AccessRefused as refusal:
        raise UsageError(str(refusal)) from None
    except QueryRefused as refusal:
        raise OutsideFault(f"{refusal} (the engine also refuses a harmless query)") from None
    raise ModelFault(f"{said} (the engine refuses this query, and answers another one)")

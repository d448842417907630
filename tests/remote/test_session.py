import asyncio

from rest_react.remote.session import current_session, session, session_headers


def test_a_session_covers_the_tasks_started_in_it_and_ends_with_its_block() -> None:
    async def named() -> str | None:
        await asyncio.sleep(0)
        current = current_session()
        return current.id if current else None

    async def trajectory(id_: str) -> list[str | None]:
        with session(id_):
            return [await named(), *await asyncio.gather(named(), named())]

    async def main() -> list[object]:
        return [*await asyncio.gather(trajectory("a.0"), trajectory("b.0")), await named()]

    assert asyncio.run(main()) == [["a.0"] * 3, ["b.0"] * 3, None]
    with session("c.0") as opened:
        assert not opened.over
    assert opened.over


def test_headers_hold_the_session_in_ascii_and_the_same_engine_for_the_whole_of_it() -> None:
    assert session_headers(4) == {}
    with session("q\n\u00e4/1.0"):
        id_ = "q%0A%C3%A4%2F1.0"
        assert session_headers() == {"x-session-id": id_, "x-smg-routing-key": id_}
        first, second = session_headers(4), session_headers(4)
    assert first == second
    assert int(first["x-data-parallel-rank"]) in range(4)

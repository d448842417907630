"""What a run may spend, by the server's own count: never more, and never much less."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import BudgetReached, ModelFault, OutsideFault, RunFolderError, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.metrics.prices import Price
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.budget import Budget, Meter, Metered, tokens_used, with_all_prompts, worst_case
from rest_react.remote.usage import Tokens
from tests.loopback import Reply, Request, serve

SAMPLING = Sampling(0.5, 40, seed=7)
PRICES = {"policy": Price(1.0, 4.0), "grader": Price(2.0, 2.0)}


class CountingServer:
    """Bills every sample it sends: a token for four bytes of prompt, and as many out as the prompt's digit says."""

    def __init__(self, delay_s: float = 0.01) -> None:
        self.prompt_tokens = self.completion_tokens = self.calls = 0
        self.delay_s = delay_s
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        body = request.json
        text = "".join(message["content"] for message in body["messages"])
        n, length = body.get("n", 1), 10 + 3 * int(text[-1])
        prompt, completion = len(text) // 4 + 8, n * length
        with self.lock:
            self.calls += 1
            self.prompt_tokens += prompt
            self.completion_tokens += completion
        choices = [{"index": i, "message": {"content": "x"}, "finish_reason": "stop"} for i in range(n)]
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        return Reply(200, {"choices": choices, "usage": usage}, delay_s=self.delay_s)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def usd(self, price: Price) -> float:
        return price.usd(self.prompt_tokens, self.completion_tokens) or 0.0


def prompt(i: int) -> Prompt:
    return Prompt("Instructions. " * 20, f"QUESTION = {i}")


WORST = worst_case(prompt(0), 4, SAMPLING)


def spend(url: str, budget: Budget, calls: int = 400, in_flight: int = 16, n_per_request: bool = True) -> None:
    """Calls as a run makes them; the first that cannot be paid for stops them all."""

    async def main() -> None:
        llm = OpenAICompatible(
            "m", base_url=f"{url}/v1", api_key_env=None, meter=Meter(budget, "policy"), logprobs=False,
            n_per_request=n_per_request, tries=3, first_wait_s=0.001,
        )  # fmt: skip
        owed = iter(range(calls))

        async def worker() -> None:
            for i in owed:
                await llm.sample(prompt(i), n=4, sampling=SAMPLING)

        try:
            await gather_or_cancel(worker() for _ in range(in_flight))
        finally:
            await llm.aclose()

    asyncio.run(main())


def spending(path: Path) -> dict[str, dict[str, int]]:
    accounts: dict[str, dict[str, int]] = json.loads(path.read_text())
    return accounts


@pytest.mark.parametrize("in_flight", [1, 16])
@pytest.mark.parametrize("n_per_request", [True, False])
def test_a_budget_of_tokens_is_spent_to_within_one_call_and_never_over(tmp_path, in_flight, n_per_request) -> None:
    api, budget, most = CountingServer(), Budget(PRICES, max_tokens=9000), 9000
    budget.keep_in(tmp_path / "spending.json")
    with serve(api) as server, pytest.raises(BudgetReached, match=r"max_tokens=9000 .*: \d+ tokens .*the same command"):
        spend(server.url, budget, in_flight=in_flight, n_per_request=n_per_request)
    assert most - WORST.total < api.tokens <= most
    assert spending(tmp_path / "spending.json") == {
        "policy": {
            "calls": api.calls, "prompt_tokens": api.prompt_tokens, "completion_tokens": api.completion_tokens
        }
    }  # fmt: skip


def test_a_budget_of_dollars_is_spent_to_within_one_call_and_never_over() -> None:
    api, price = CountingServer(), PRICES["policy"]
    with serve(api) as server, pytest.raises(BudgetReached, match=r"max_usd=0\.02 .*: 0\.01\d+ US dollars"):
        spend(server.url, Budget(PRICES, max_usd=0.02))
    assert 0.02 - (price.usd(WORST.prompt, WORST.completion) or 0) < api.usd(price) <= 0.02


def test_without_a_limit_nothing_stops_and_everything_is_counted(tmp_path: Path) -> None:
    api, budget = CountingServer(delay_s=0), Budget()
    budget.keep_in(tmp_path / "spending.json")
    with serve(api) as server:
        spend(server.url, budget, calls=20)
    assert spending(tmp_path / "spending.json")["policy"]["calls"] == api.calls == 20


ODD_USAGES = [
    {"prompt_tokens": -28000, "completion_tokens": 5},
    {"prompt_tokens": 60, "completion_tokens": -5},
    {"prompt_tokens": 10**30, "completion_tokens": 10**30},
    {"prompt_tokens": 60, "completion_tokens": 100_000},
    {"prompt_tokens": 10_000_000, "completion_tokens": 5},
    {"prompt_tokens": 0, "completion_tokens": 0},
]


@pytest.mark.parametrize("usage", ODD_USAGES)
def test_an_impossible_usage_is_charged_at_the_worst_case_and_noted_once(tmp_path, capsys, usage) -> None:
    choices = [{"index": i, "message": {"content": "x"}} for i in range(4)]
    budget, path = Budget(), tmp_path / "spending.json"
    budget.keep_in(path)
    with serve(lambda _: Reply(200, {"choices": choices, "usage": usage})) as server:
        spend(server.url, budget, calls=3)
    assert spending(path) == {
        "policy": {"calls": 3, "prompt_tokens": 3 * WORST.prompt, "completion_tokens": 3 * WORST.completion}
    }
    told = capsys.readouterr().err
    assert told.startswith("note: policy: the server reports ")
    assert told.count("impossible") == 1


@pytest.mark.parametrize(
    ("usage", "charged"),
    [
        ({}, WORST),
        ({"prompt_tokens": 70}, Tokens(70, WORST.completion)),
        ({"completion_tokens": 9}, Tokens(WORST.prompt, 9)),
        ({"prompt_tokens": float("nan"), "completion_tokens": "9"}, Tokens(WORST.prompt, 9)),
    ],
)
def test_a_missing_count_is_charged_at_its_worst_case(tmp_path, capsys, usage, charged) -> None:
    choices = [{"index": i, "message": {"content": "x"}} for i in range(4)]
    budget, path = Budget(), tmp_path / "spending.json"
    budget.keep_in(path)
    with serve(lambda _: Reply(200, {"choices": choices, "usage": usage})) as server:
        spend(server.url, budget, calls=1)
    account = {"calls": 1, "prompt_tokens": charged.prompt, "completion_tokens": charged.completion}
    assert (spending(path), capsys.readouterr().err) == ({"policy": account}, "")


def test_a_negative_sum_on_disk_is_damage(tmp_path: Path) -> None:
    (tmp_path / "spending.json").write_text('{"policy": {"calls": 3, "prompt_tokens": -28000, "completion_tokens": 5}}')
    with pytest.raises(RunFolderError, match="damaged"):
        Budget().keep_in(tmp_path / "spending.json")


def test_what_earlier_commands_spent_counts_and_a_raised_limit_goes_on(tmp_path: Path) -> None:
    api, path = CountingServer(delay_s=0), tmp_path / "spending.json"
    with serve(api) as server:
        for most in (3000, 3000, 6000):
            budget = Budget(max_tokens=most)
            budget.keep_in(path)
            with pytest.raises(BudgetReached):
                spend(server.url, budget)
            assert most - WORST.total < api.tokens <= most


def test_after_a_kill_calls_in_flight_count_as_their_worst_case(tmp_path: Path) -> None:
    arrived, path = threading.Semaphore(0), tmp_path / "spending.json"
    api = CountingServer(delay_s=60)

    def answer(request: Request) -> Reply:
        arrived.release()
        return api(request)

    with serve(answer) as server:
        script = (
            "from pathlib import Path\nfrom rest_react.remote.budget import Budget\n"
            "from tests.remote.test_budget import spend\n"
            f"budget = Budget(); budget.keep_in(Path({str(path)!r})); spend({server.url!r}, budget, in_flight=3)"
        )
        with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2]) as process:
            for _ in range(3):
                assert arrived.acquire(timeout=60)
            process.send_signal(signal.SIGKILL)
    assert spending(path) == {
        "policy": {"calls": 3, "prompt_tokens": 3 * WORST.prompt, "completion_tokens": 3 * WORST.completion}
    }
    budget = Budget(max_tokens=3 * WORST.total)
    budget.keep_in(path)
    with pytest.raises(BudgetReached):
        asyncio.run(one(budget))


async def one(budget: Budget, role: str = "policy", owed: Tokens | None = None) -> None:
    async with budget.call(role, WORST) as bill:
        bill.owed = WORST if owed is None else owed


@pytest.mark.parametrize(
    ("fault", "billed"),
    [
        (Reply(500), False),
        (Reply(429), False),
        (Reply(400, {"error": {"message": "too long"}}), False),
        (Reply(402), False),
        (Reply(hang_up=True), True),
        (Reply(200, b'{"choices": [{"mess'), True),
        (Reply(200, {"choices": []}), True),
    ],
)
def test_a_reply_that_got_lost_may_be_billed_and_a_refusal_is_not(tmp_path: Path, fault: Reply, billed: bool) -> None:
    budget, path = Budget(), tmp_path / "spending.json"
    budget.keep_in(path)
    with serve(lambda _: fault) as server, pytest.raises((ModelFault, OutsideFault)):
        spend(server.url, budget, calls=1, in_flight=1)
    tries = len(server.requests)
    taken = spending(path)["policy"]
    assert taken["calls"] == tries
    assert taken["prompt_tokens"] + taken["completion_tokens"] == (tries * WORST.total if billed else 0)


def test_a_server_that_nobody_reached_bills_nothing(tmp_path: Path) -> None:
    budget, path = Budget(), tmp_path / "spending.json"
    budget.keep_in(path)
    with serve(lambda _: Reply()) as server:
        pass
    with pytest.raises(OutsideFault):
        spend(server.url, budget, calls=1, in_flight=1)
    assert spending(path) == {"policy": {"calls": 3, "prompt_tokens": 0, "completion_tokens": 0}}


def test_a_reply_that_does_not_say_what_it_took_counts_as_its_worst_case(tmp_path: Path) -> None:
    budget, path = Budget(), tmp_path / "spending.json"
    budget.keep_in(path)
    choices = [{"index": i, "message": {"content": "x"}} for i in range(4)]
    with serve(lambda _: Reply(200, {"choices": choices})) as server:
        spend(server.url, budget, calls=1, in_flight=1)
    assert spending(path)["policy"] == {
        "calls": 1,
        "prompt_tokens": WORST.prompt,
        "completion_tokens": WORST.completion,
    }


def test_all_roles_draw_on_one_budget_each_at_its_price() -> None:
    async def main() -> None:
        await one(budget, "policy", Tokens(1_000_000, 0))
        await one(budget, "grader", Tokens(0, 1_000_000))
        await one(budget, "grader")

    budget = Budget(PRICES, max_usd=3.0)
    with pytest.raises(BudgetReached, match=r"3\.0000 US dollars .* 0\.0006"):
        asyncio.run(main())


def test_a_limit_in_dollars_is_not_guessed_at() -> None:
    with pytest.raises(UsageError, match=r"the price of policy is unknown; set policy\.price"):
        asyncio.run(one(Budget({"policy": Price(None, 1.0)}, max_usd=1.0)))


def test_a_prompt_of_more_tokens_than_estimated_makes_later_calls_reserve_as_many_times_more() -> None:
    async def main() -> int:
        budget, calls = Budget(max_tokens=1000), 0
        with pytest.raises(BudgetReached, match="the next call may use up to 310"):
            while True:
                async with budget.call("policy", Tokens(100, 10)) as bill:
                    bill.owed = Tokens(300, 10)
                    calls += 1
        assert budget.booked("policy") == 900
        return calls

    assert asyncio.run(main()) == 3


@pytest.mark.parametrize(
    ("calls", "reserved"),
    [
        ([(60, 1500)], (1000, 2440)),  # a template of 1,440 tokens is no factor of the next prompt
        ([(1000, 9048)], (2000, 16_048)),
        ([(1000, 900)], (1000, 1000)),
        ([(100, 150), (100, 120)], (100, 150)),
    ],
)
def test_what_a_template_adds_is_added_and_what_a_tokenizer_multiplies_is_multiplied(
    calls: list[tuple[int, int]], reserved: tuple[int, int]
) -> None:
    async def main() -> None:
        budget = Budget()
        for estimated, counted in calls:
            async with budget.call("policy", Tokens(estimated, 0)) as bill:
                bill.owed = Tokens(counted, 0)
        async with budget.call("policy", Tokens(reserved[0], 0)) as bill:
            assert bill.worst.prompt == reserved[1]
        async with budget.call("grader", Tokens(10, 0)) as bill:
            assert bill.worst.prompt == 10

    asyncio.run(main())


def test_a_call_waits_while_what_is_in_flight_may_leave_room() -> None:
    async def main() -> list[str]:
        budget, events = Budget(max_tokens=WORST.total + 10), []

        async def call(name: str) -> None:
            async with budget.call("policy", WORST) as bill:
                events.append(f"{name} starts")
                await asyncio.sleep(0.01)
                bill.owed = Tokens(5, 0)
                events.append(f"{name} ends")

        await gather_or_cancel(call(name) for name in "ab")
        return events

    assert asyncio.run(main()) == ["a starts", "a ends", "b starts", "b ends"]


def test_the_account_is_whole_from_its_first_moment(tmp_path: Path) -> None:
    Budget().keep_in(tmp_path / "spending.json")
    assert spending(tmp_path / "spending.json") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["spending.json"]


@pytest.mark.parametrize("content", ["", '{"policy"', " " * 1024, "\0" * 1024, "[]"])
def test_a_damaged_account_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "spending.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"spending\.json is damaged .* delete it"):
        Budget().keep_in(tmp_path / "spending.json")


def test_a_model_in_this_process_is_counted_as_well(tmp_path: Path) -> None:
    class Model:
        async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
            if not prompt.state:
                raise ModelFault("nothing to go on from")
            return [Completion("x", 5, None, "stop", 11)] * n

        async def score(self, prompt: Prompt, options: list[str]) -> OptionScores | None:
            return OptionScores((-1.0,) * len(options), (), 11, 3) if options else None

        async def aclose(self) -> None:
            pass

    budget = Budget()
    budget.keep_in(tmp_path / "spending.json")
    metered = Metered(Model(), Meter(budget, "grader"))
    asyncio.run(metered.sample(prompt(1), n=2, sampling=SAMPLING))
    with pytest.raises(ModelFault):
        asyncio.run(metered.sample(Prompt("", ""), n=2, sampling=SAMPLING))
    asyncio.run(metered.score(prompt(1), ["A", "B"]))
    asyncio.run(metered.score(prompt(1), []))
    assert spending(tmp_path / "spending.json") == {
        "grader": {"calls": 4, "prompt_tokens": 22, "completion_tokens": 13}
    }


def test_a_prompt_that_was_read_for_each_sample_is_paid_for_each_time() -> None:
    replies = [
        [Completion("a", 1, None, "stop", 7), Completion("b", 2, None, "stop", 7)],
        [Completion("c", 3, None, "", 9)],
    ]
    joined = with_all_prompts(replies)
    assert [one.text for one in joined] == ["a", "b", "c"]
    assert tokens_used(joined) == Tokens(16, 6)


def test_the_estimate_of_a_prompt_is_not_below_a_token_for_three_bytes() -> None:
    assert worst_case(Prompt("é" * 30, "\ud800"), 2, SAMPLING) == Tokens(20 + 1 + 24, 80)


def test_a_correction_does_not_take_back_more_than_is_booked(tmp_path: Path) -> None:
    for _ in range(2):  # the second budget reads what the first one wrote
        budget = Budget()
        budget.keep_in(tmp_path / "spending.json")
        budget.correct("finetune", 10)
        budget.correct("finetune", -63)
    assert json.loads((tmp_path / "spending.json").read_text()) == {
        "finetune": {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}
    }

"""Limits what a run spends: tokens and dollars of all its models together, counted on disk.

    budget = Budget({"policy": Price(0.4, 1.6)}, max_usd=5.0)
    budget.keep_in(folder / "spending.json")
    async with budget.call("policy", worst_case(prompt, n, sampling)) as bill:
        completions = ...
        bill.owed = tokens_used(completions)

A call starts if the amount spent, the worst cases of all calls in flight and its own worst case fit into the limit.
Otherwise it waits for calls in flight to end. If none is in flight, `BudgetReached` ends the run. So spending ends at
most one call's worst case below the limit. The tokens of a prompt are an estimate, more than tokenizers make of prose:
where a server counts more (digits, some scripts, a prompt counted once per sample), later calls of the role reserve
more, too, and only the calls in flight until then can exceed the limit.
Not here: calls per minute (limiter), and what a stage cost (metrics.prices).
"""

import asyncio
import math
import os
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from rest_react.errors import BudgetReached, RunFolderError, UsageError, disk_errors
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.usage import OF_TEMPLATE, Tokens, Usage, charged
from rest_react.storage.files import write_file
from rest_react.terminal.console import say

_TURN_TOKENS = 24  # what a chat template puts around a system's and a user's turn
_FILE_BYTES = 1024


NOTHING = Tokens(0, 0)


def estimate(text: str) -> int:
    """The estimated number of tokens of a text: one for three bytes of UTF-8, more than tokenizers make of prose."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


def worst_case(prompt: Prompt, n: int, sampling: Sampling) -> Tokens:
    """The most tokens a call may use: the estimated prompt, and n samples of `sampling.max_tokens`."""
    return Tokens(_prompt_tokens(prompt), n * sampling.max_tokens)


def _scoring_worst_case(prompt: Prompt, options: Sequence[str]) -> Tokens:
    """The most tokens that scoring takes in this process: at most 4 spellings of each option, a token for a byte."""
    return Tokens(_prompt_tokens(prompt), sum(4 * (len(option.encode("utf-8", "replace")) + 1) for option in options))


def _prompt_tokens(prompt: Prompt) -> int:
    texts = [prompt.prefix, *(text for pair in prompt.turns for text in pair), prompt.state, prompt.closing]
    return sum(map(estimate, texts)) + _TURN_TOKENS * (1 + len(prompt.turns))


def tokens_used(completions: Sequence[Completion]) -> Tokens:
    """The tokens used by one request, whose samples share the prompt."""
    return Tokens(completions[0].prompt_tokens, sum(one.tokens for one in completions)) if completions else NOTHING


def with_all_prompts(replies: Sequence[Sequence[Completion]]) -> list[Completion]:
    """The samples of several requests as those of one call. Each request paid for the prompt, so its tokens add up."""
    first, *others = [one for reply in replies for one in reply]
    return [replace(first, prompt_tokens=sum(reply[0].prompt_tokens for reply in replies)), *others]


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Account(msgspec.Struct):
    calls: _Count = 0
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


@dataclass(slots=True)
class Bill:
    """What one call is charged: `worst` while it runs, `owed` after it has ended."""

    worst: Tokens
    owed: Tokens = NOTHING


class Budget:
    """The spending of a run's models and its limits, over all commands of the run. Prices are by role, in US dollars
    per million tokens."""

    def __init__(
        self, prices: Mapping[str, Price] | None = None, *, max_usd: float | None = None, max_tokens: int | None = None
    ) -> None:
        self._prices = prices or {}
        self._max_usd = max_usd
        self._max_tokens = max_tokens
        self._accounts: dict[str, _Account] = {}  # with the worst cases of calls in flight
        self._in_flight = 0
        self._beyond: dict[str, tuple[float, int]] = {}  # by role: what prompts had beyond estimates, see _learn
        self._settled = asyncio.Event()
        self._file: int | None = None
        self._path = Path()
        self._doubted: set[str] = set()

    def keep_in(self, path: Path) -> None:
        """Continues from the spending in the file and keeps the file up to date. After a kill, the calls that were in
        flight count as their worst case. Raises RunFolderError if the file is damaged."""
        if path.exists():
            try:
                self._accounts = msgspec.json.decode(path.read_bytes(), type=dict[str, _Account])
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RunFolderError(
                    f"{path} is damaged ({error}), so the run's spending so far is unknown. Restore it from a copy. Or "
                    "delete it: the count then starts at 0, so lower `budget` by the amount spent (see the summaries)."
                ) from error
        else:
            write_file(path, self._content())  # whole from its first moment on: it is never empty
        with disk_errors(path):
            self._file = os.open(path, os.O_WRONLY)
        weakref.finalize(self, os.close, self._file)
        self._path = path

    @asynccontextmanager
    async def call(self, role: str, worst: Tokens) -> AsyncIterator[Bill]:
        """Reserves `worst` for a call and charges `bill.owed` when the block ends. Waits while the call does not fit;
        raises BudgetReached if it cannot fit any more, UsageError if a price is needed and unknown."""
        estimated = worst.prompt
        while refusal := self._refusal(role, worst := self._reserved(role, estimated, worst.completion)):
            if not self._in_flight:
                raise BudgetReached(
                    f"{refusal}. Finished work is saved: raise the limit and run the same command again. "
                    "(With cache=<folder>, calls of unfinished trajectories are not paid for twice.)"
                )
            await self._settled.wait()
        bill = Bill(worst)
        self._in_flight += 1
        self._book(role, 1, worst.prompt, worst.completion)
        try:
            yield bill
        finally:
            self._in_flight -= 1
            self._learn(role, estimated, bill.owed.prompt)
            self._book(role, 0, bill.owed.prompt - worst.prompt, bill.owed.completion - worst.completion)
            self._settled.set()
            self._settled = asyncio.Event()

    def _reserved(self, role: str, prompt: int, completion: int) -> Tokens:
        times, more = self._beyond.get(role, (1.0, 0))
        return Tokens(math.ceil(prompt * times) + more, completion)

    def _learn(self, role: str, estimated: int, prompt: int) -> None:
        """Notes by how much a prompt was longer than estimated: as far as a template explains it, in tokens that every
        call has; beyond that, in times of the estimate."""
        times, more = self._beyond.get(role, (1.0, 0))
        if estimated and prompt > math.ceil(estimated * times) + more:
            more = max(more, min(prompt - estimated, OF_TEMPLATE))
            self._beyond[role] = (max(times, (prompt - more) / estimated), more)

    def correct(self, role: str, prompt_tokens: int) -> None:
        """Adds tokens that a service counted after a call had ended, or takes back those of a call that it refused: at
        most those that are booked, because the file of the spending may have been deleted meanwhile."""
        self._book(role, 0, max(prompt_tokens, -self.booked(role)), 0)
        self.flush()

    def flush(self) -> None:
        """Makes what is booked survive a power cut: for a charge too large to lose, such as a training's."""
        if self._file is not None:
            with disk_errors(self._path):
                os.fsync(self._file)

    def booked(self, role: str) -> int:
        """The prompt tokens in the account of a role, over all commands of the run."""
        return self._accounts.get(role, _Account()).prompt_tokens

    def _book(self, role: str, calls: int, prompt: int, completion: int) -> None:
        account = self._accounts.setdefault(role, _Account())
        account.calls += calls
        account.prompt_tokens += prompt
        account.completion_tokens += completion
        self._write()

    def _write(self) -> None:
        if self._file is not None:
            # In one call and always of one length, so that no kill leaves half of it.
            with disk_errors(self._path):
                os.pwrite(self._file, self._content(), 0)

    def _content(self) -> bytes:
        return msgspec.json.encode(self._accounts).ljust(_FILE_BYTES - 1) + b"\n"

    def _refusal(self, role: str, worst: Tokens) -> str:
        """Why a call cannot start now; empty if it can."""
        if self._max_tokens is not None:
            taken = sum(account.prompt_tokens + account.completion_tokens for account in self._accounts.values())
            if taken + worst.total > self._max_tokens:
                return (
                    f"budget.max_tokens={self._max_tokens} would be exceeded: {taken} tokens are used, and the next "
                    f"call may use up to {worst.total}"
                )
        if self._max_usd is not None:
            spent = sum(self._known(name, a.prompt_tokens, a.completion_tokens) for name, a in self._accounts.items())
            price = self._known(role, worst.prompt, worst.completion)
            if spent + price > self._max_usd:
                return (
                    f"budget.max_usd={self._max_usd} would be exceeded: {spent:.4f} US dollars are spent, and the next "
                    f"call may cost up to {price:.4f}"
                )
        return ""

    def charge(self, role: str, usage: Usage, worst: Tokens) -> Tokens:
        """The tokens to charge for a call, from the usage that the server reported. Prints a note, once for each role,
        if a usage is impossible."""
        if usage.impossible and role not in self._doubted:
            self._doubted.add(role)
            say(
                f"note: {role or 'model'}: the server reports an impossible usage for a call ({usage.impossible}); "
                "such calls are charged at their maximum"
            )
        return charged(usage, worst)

    def usd(self, role: str, prompt: int, completion: int) -> float | None:
        """The price of tokens of a role in US dollars; None if it is unknown."""
        price = self._prices.get(role)
        return None if price is None else price.usd(prompt, completion)

    def _known(self, role: str, prompt: int, completion: int) -> float:
        usd = self.usd(role, prompt, completion)
        if usd is None:
            raise UsageError(f"budget.max_usd: the price of {role} is unknown; set {role}.price")
        return usd


@dataclass(frozen=True, slots=True)
class Meter:
    """One role's access to the budget: policy, reward_model, grader or finetune."""

    budget: Budget
    role: str


class Metered:
    """An `LLM` in this process whose tokens are charged to the budget. Clients of servers charge each try by themselves
    (remote.retry)."""

    def __init__(self, client: LLM, meter: Meter) -> None:
        self.client = client
        self._meter = meter

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt; waits until they fit into the budget."""
        async with self._meter.budget.call(self._meter.role, worst_case(prompt, n, sampling)) as bill:
            completions = await self.client.sample(prompt, n=n, sampling=sampling)
            bill.owed = tokens_used(completions)
            return completions

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """Scores of the options; waits until they fit into the budget."""
        async with self._meter.budget.call(self._meter.role, _scoring_worst_case(prompt, options)) as bill:
            scores = await self.client.score(prompt, options)
            if scores is not None:
                bill.owed = Tokens(scores.prompt_tokens, scores.completion_tokens)
            return scores

    async def aclose(self) -> None:
        """Closes the model."""
        await self.client.aclose()

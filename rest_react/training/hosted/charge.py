"""Charges a hosted training to the run's budget once, whatever the moment of a kill.

    charge = Charge(meter, epochs=3, tell=say)
    progress = await charge.reserve(examples, progress, folder)     # the estimate, before anything is sent
    progress = charge.settle(progress, 41_920, folder)              # what the service counted, in place of the estimate

Before tokens are booked, job.json has them with the account that holds them (`Progress.account`); the next command
compares the two, and books what is missing. If the price exceeds the budget, nothing is sent and the run ends.
Not here: the limits and the file of the spending (remote.budget), and the tokens of an example (rows).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rest_react.errors import BudgetReached, DiskError, UsageError
from rest_react.records import Example
from rest_react.remote.budget import Meter
from rest_react.remote.usage import Tokens
from rest_react.training.hosted.progress import Progress, note_progress
from rest_react.training.hosted.rows import tokens_of

EPOCHS = 3  # what providers choose for a small file when they are left to


@dataclass(frozen=True, slots=True)
class Charge:
    """The account of one trainer. `epochs` is the hyperparameter sent to the service; None: the provider chooses."""

    meter: Meter
    epochs: Any
    tell: Callable[[str], None]

    async def reserve(self, examples: Sequence[Example], progress: Progress, folder: Path) -> Progress:
        """Charges the estimate, unless an earlier command did: job.json has the account with it before the account
        does."""
        budget, role = self.meter.budget, self.meter.role
        if progress.tokens and (progress.account is None or progress.account <= budget.booked(role)):
            return replace(progress, account=None)
        worst = self._told(examples)
        note_progress(folder, replace(progress, tokens=worst.prompt, account=budget.booked(role) + worst.prompt))
        try:
            async with budget.call(role, worst) as bill:
                bill.owed = bill.worst
            budget.flush()
        except DiskError:  # it may have been charged
            raise
        except (BudgetReached, UsageError):
            (folder / "job.json").unlink()  # nothing was sent: other settings may follow
            raise
        return replace(progress, tokens=worst.prompt, account=None)

    def take_back(self, progress: Progress, folder: Path) -> None:
        """Takes the estimate back and deletes job.json, since the service refused the training: other settings may
        follow. A kill between the two leaves too much charged, not too little."""
        (folder / "job.json").unlink()
        self.meter.budget.correct(self.meter.role, -progress.tokens)

    def settle(self, progress: Progress, counted: int, folder: Path) -> Progress:
        """Notes that the job is done, and books the tokens that the service counted in place of the estimate; 0: it
        counted none."""
        tokens = counted or progress.tokens
        account = max(0, self.meter.budget.booked(self.meter.role) + tokens - progress.tokens)
        return self.settle_after_kill(note_progress(folder, replace(progress, tokens=tokens, account=account)), folder)

    def settle_failed(self, progress: Progress, counted: int, folder: Path) -> None:
        """Books what the service counted for a job that failed or was cancelled, often nothing, in place of the
        estimate. A kill between the two leaves too much charged, not too little."""
        note_progress(folder, replace(progress, tokens=counted, account=None))
        self.meter.budget.correct(self.meter.role, counted - progress.tokens)

    def settle_after_kill(self, progress: Progress, folder: Path) -> Progress:
        """Books the tokens of a finished job, if an earlier command was killed before it did."""
        if not progress.model or progress.account is None:
            return progress
        self.meter.budget.correct(self.meter.role, progress.account - self.meter.budget.booked(self.meter.role))
        return note_progress(folder, replace(progress, account=None))

    def _told(self, examples: Sequence[Example]) -> Tokens:
        """The estimated tokens of the training; prints them with their price."""
        epochs = self.epochs or EPOCHS
        once = sum(tokens_of(example) for example in examples)
        usd = self.meter.budget.usd(self.meter.role, once * epochs, 0)
        cost = "finetune.price is not set" if usd is None else f"about {usd:.2f} US dollars"
        self.tell(f"{len(examples)} examples, about {once} tokens, {epochs} epochs: {cost}")
        return Tokens(once * epochs, 0)

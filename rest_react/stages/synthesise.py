"""Synthesise: a teacher model writes labelled texts, which then are the demonstrations of iteration 0.

    await synthesise(teacher, prompt, judge, labels, folder.stage(0, "synthetic"), rules, seed=7, ...)

The teacher is shown the labels and no text of any data set. A judge drops texts that do not fit their label; of texts
that nearly repeat an earlier one (runs of 8 characters) the first stays. texts.jsonl has every text with what became of
it, items.jsonl the rows, and summary.json counts both by label.
Not here: how rows are shown to the policy (tasks.completion), fine-tuning on them (stages.finetune).
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rest_react.errors import ModelFault, OutsideFault, UsageError, as_fault
from rest_react.metrics.prices import Price, bill
from rest_react.model_output.thinking import after_thinking
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.questions.overlaps.near_duplicates import runs, similarity
from rest_react.records import Fault, LabelledQuestion, Prompt, Question, Sampling
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.selection.opinions import Judgement
from rest_react.setting_types import Count, NotNegative, Share, Temperature
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.storage.files import cut_torn_line, write_file
from rest_react.storage.jsonl import JsonLines, read_lines, replace_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.storage.unused_settings import UNJUDGED
from rest_react.tasks.sample_end import ended
from rest_react.terminal.console import say
from rest_react.trajectories.parsed import CUT_OFF

TEXTS, ITEMS = "texts.jsonl", "items.jsonl"
_NOT_JUDGED, _REFUSED = "not judged", "not its label"


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """Texts that the teacher writes for iteration 0, in place of the rows of demonstrations.questions."""

    n: NotNegative  # texts, about as many of each label; 0: none
    spare: Share  # so many more are written, as a share of those of a label, to replace those that are dropped
    near: Share  # texts that share more of their runs of 8 characters than this (Jaccard) are near-duplicates
    judged: bool  # whether the reward model drops texts that do not fit their label
    temperature: Temperature  # of the teacher
    max_tokens: Count  # of a text


@dataclass(frozen=True, slots=True)
class WrittenText:
    """One text of the teacher. `dropped` says why it is no row: empty, cut off, refused by the judge (`not its label`),
    or without a verdict (`not judged`); empty if it may be one. Near-duplicates are found later."""

    id: str
    label: str
    text: str
    dropped: str = ""
    fault: Fault | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    judge_prompt_tokens: int = 0
    judge_completion_tokens: int = 0


class Judge(Protocol):
    """Says whether an output is good for what the model was shown."""

    async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement: ...


class Shown(Protocol):
    """The text as the policy is shown it."""

    def __call__(self, text: str, /) -> str: ...


async def synthesise(
    teacher: LLM,
    template: str,
    judge: Judge | None,
    labels: Sequence[str],
    stage: Path,
    rules: SyntheticSettings,
    *,
    shown: Shown,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
) -> None:
    """Writes the rows, unless the stage is complete. `template` has {label}. Raises UsageError where no text of a
    label is left."""
    if read_summary(stage) is not None:
        return
    if rules.n < len(labels):
        raise UsageError(f"synthetic.n: {rules.n} texts are too few for {len(labels)} labels; set it to {len(labels)}")
    started, path = time.monotonic(), stage / TEXTS
    # The time that the texts of an earlier command took is not recorded.
    resumed = any(one.exists() and one.stat().st_size > 0 for one in (path, stage / UNJUDGED))
    wanted = shares(rules.n, labels)
    written = {label: count + math.ceil(count * rules.spare) for label, count in wanted.items()}
    items = ((f"{label}.{number}", label) for label in labels for number in range(written[label]))

    unjudged = _unjudged(stage)
    paid = JsonLines(stage / UNJUDGED, WrittenText)
    paid.resume()

    async def write(id_: str, label: str) -> WrittenText:
        own_seed = derive_seed(seed, id_)
        if (text := unjudged.get(id_)) is None:
            text = await _written(WrittenText(id_, label, ""), teacher, template, rules, own_seed)
            if judge is None or text.dropped:
                return text
            paid.append(text)
        return text if judge is None else await _judged(text, judge, shown, own_seed)

    with closing(paid):
        await run_owed(
            _RECORDS, path, items, write,
            total=sum(written.values()), in_flight=in_flight, title="iteration 0: synthesise",
        )  # fmt: skip
    (stage / UNJUDGED).unlink(missing_ok=True)
    texts = list(read_lines(path, WrittenText))
    _refuse_silent_judge(stage, texts)
    rows, counts = select_rows(texts, wanted, rules.near)
    _tell_missing(stage, rules.n, wanted, counts)
    write_file(stage / ITEMS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    spent = [sum(getattr(text, name) for text in texts) for name in _TOKENS]
    cost = bill(prices, teacher=(spent[0], spent[1]), reward_model=(spent[2], spent[3]))
    told_counts = {label: dict(counts[label]) for label in labels}
    seconds = None if resumed else round(time.monotonic() - started, 1)
    write_summary(stage, {"rows": len(rows), "labels": told_counts, **cost, "seconds": seconds})


def _tell_missing(stage: Path, n: int, wanted: Mapping[str, int], counts: Mapping[str, Mapping[str, int]]) -> None:
    """A note where a label has fewer texts than wanted. Raises UsageError where it has none."""
    short = {label: counts[label]["rows"] for label in wanted if counts[label]["rows"] < wanted[label]}
    if any(not left for left in short.values()):
        raise UsageError(
            f"{stage}: no text is left of {', '.join(label for label, left in short.items() if not left)}; see "
            f"{TEXTS} for what was dropped, then raise synthetic.spare or synthetic.near, or set another "
            "synthetic.judged or teacher in another run (run=<name>)"
        )
    if short:
        told = ", ".join(f"{label}: {left}" for label, left in short.items())
        say(f"note: fewer than {n} texts are left ({told}); for more, raise synthetic.spare in another run")


def _unjudged(stage: Path) -> dict[str, WrittenText]:
    """The texts that only lack a judgement, by id. They are paid for, and a resumed stage drops them from its file
    until they are judged: a kill before that must not lose them."""
    path, kept = stage / TEXTS, stage / UNJUDGED
    cut_torn_line(kept)
    found = {text.id: text for text in read_lines(kept, WrittenText)}
    found |= {text.id: text for text in read_lines(path, WrittenText) if text.dropped == _NOT_JUDGED}
    if found:
        replace_lines(kept, found.values())
    return found


def _refuse_silent_judge(stage: Path, texts: Sequence[WrittenText]) -> None:
    """Raises UsageError if the judge gave no verdict on any text that it was shown."""
    unjudged = [text for text in texts if text.dropped == _NOT_JUDGED]
    if unjudged and not any(text.dropped in ("", _REFUSED) for text in texts):
        faults = [text.fault.message for text in unjudged if text.fault is not None]
        raise UsageError(
            f"{stage}: reward_model gave no verdict on any of {len(unjudged)} texts "
            f"({f'last error: {faults[-1]}' if faults else 'its replies cannot be read'}). The texts are saved. Change "
            f"{'the limits of its server' if faults else 'improve.max_tokens, if its replies were cut,'} and run the "
            "same command again, or name another reward_model in another run"
        )


_TOKENS = ("prompt_tokens", "completion_tokens", "judge_prompt_tokens", "judge_completion_tokens")


async def _written(text: WrittenText, teacher: LLM, template: str, rules: SyntheticSettings, seed: int) -> WrittenText:
    """The text as the teacher writes it."""
    sampling = Sampling(rules.temperature, rules.max_tokens, seed, stop=(STOP,), logprobs=False)
    try:
        (reply,) = await teacher.sample(Prompt("", template.replace("{label}", text.label)), n=1, sampling=sampling)
    except (ModelFault, OutsideFault) as error:
        return replace(text, dropped="not written", fault=as_fault(error))
    said = after_thinking(reply.text)
    found, finish = ended(replace(reply, text=said or ""), rules.max_tokens)
    found = found.strip().strip("\"'`").strip()
    cut_off = said is None or (found and finish == CUT_OFF)
    return replace(
        text, text=found, prompt_tokens=reply.prompt_tokens, completion_tokens=reply.tokens,
        dropped="cut off" if cut_off else "" if found else "empty",
    )  # fmt: skip


async def _judged(text: WrittenText, judge: Judge, shown: Shown, seed: int) -> WrittenText:
    """The text with the judge's verdict."""
    try:
        verdict = await judge.is_good(shown(text.text), text.label, seed=seed)
    except (ModelFault, OutsideFault) as error:
        return replace(text, dropped=_NOT_JUDGED, fault=as_fault(error))
    return replace(
        text,
        dropped={True: "", False: _REFUSED, None: _NOT_JUDGED}[verdict.good],
        fault=None,
        judge_prompt_tokens=verdict.reply.prompt_tokens,
        judge_completion_tokens=verdict.reply.tokens,
    )


def shares(n: int, labels: Sequence[str]) -> dict[str, int]:
    """How many of n texts each label has: the same for all, and one more for the first of them."""
    return {label: n // len(labels) + (place < n % len(labels)) for place, label in enumerate(labels)}


def select_rows(
    texts: Sequence[WrittenText], wanted: Mapping[str, int], near: float
) -> tuple[list[dict[str, str]], dict[str, Counter[str]]]:
    """The rows, at most `wanted` of each label, going round the labels so that the first n stay balanced; and by label
    what became of the texts."""
    counts: dict[str, Counter[str]] = {}
    kept: dict[str, list[dict[str, str]]] = {}
    earlier: list[frozenset[str]] = []
    for text in texts:
        tally, own = counts.setdefault(text.label, Counter(rows=0)), kept.setdefault(text.label, [])
        tally["texts"] += 1
        own_runs = runs(text.text)
        if text.dropped:
            tally[text.dropped] += 1
        elif any(similarity(own_runs, other) > near for other in earlier):
            tally["near-duplicates"] += 1
        elif len(own) == wanted[text.label]:
            tally["spare"] += 1
        else:
            earlier.append(own_runs)
            tally["rows"] += 1
            own.append({"id": f"synthetic-{text.id}", "text": text.text, "label": text.label})
    longest = max(map(len, kept.values()), default=0)
    return [own[i] for i in range(longest) for own in kept.values() if i < len(own)], counts


def written_rows(stage: Path) -> list[LabelledQuestion]:
    """The rows of a complete stage; none before it."""
    if read_summary(stage) is None:
        return []
    rows = map(json.loads, (stage / ITEMS).read_bytes().splitlines())  # of a text, U+2028 would end a line too
    return [LabelledQuestion(Question(row["id"], row["text"]), (row["label"],)) for row in rows]


def _answers(text: WrittenText) -> Iterator[str | None]:
    """One entry for the call to the teacher, for remote.failures.refusals."""
    if text.fault is None or text.text:
        yield ACCEPTED
    else:
        yield LOST if text.fault.whose == "outside" else text.fault.message


def _outside_error(text: WrittenText) -> str | None:
    return text.fault.message if text.fault is not None and text.fault.whose == "outside" else None


_RECORDS = StageRecords(
    WrittenText,
    noun="texts",
    role="teacher",
    keep=lambda text: text.dropped != _NOT_JUDGED and _outside_error(text) is None,
    outside_error=_outside_error,
    answers=_answers,
    failed=lambda text: bool(text.dropped),
)

"""The same requests to a server and to the engine in this process, and how far their answers may differ."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from rest_react.errors import ModelFault
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.setting_types import Mode

MODEL = "smollm2-135m-instruct"
PROMPTS = [
    Prompt("Answer in one sentence.\n", f"{question}\n")
    for question in (
        "Who wrote Middlemarch?",
        "What is the capital of France?",
        "Which is longer, the Nile or the Rhine?",
        "Name three colours of the rainbow.",
    )
]
CHOICE = Prompt("", "Is Paris the capital of France? Answer with yes or no.\nAnswer:")
WHOLE_TEXT = "Yes, Paris is the capital of France."
GREEDY = Sampling(0.0, 24, seed=5)
WARM = Sampling(0.8, 24, seed=5)


@contextmanager
def loop() -> Iterator[asyncio.Runner]:
    """A loop for all calls of a module's clients: one client serves one loop."""
    with asyncio.Runner() as runner:
        yield runner


def ask(
    runner: asyncio.Runner, llm: LLM, sampling: Sampling, n: int = 1, *, at_once: bool = True
) -> list[list[Completion]]:
    """The samples of each prompt, asked for all at once or one after the other."""

    async def main() -> list[list[Completion]]:
        if at_once:
            return await asyncio.gather(*(llm.sample(prompt, n=n, sampling=sampling) for prompt in PROMPTS))
        return [await llm.sample(prompt, n=n, sampling=sampling) for prompt in PROMPTS]

    return runner.run(main())


def in_process(mode: Mode) -> tuple[list[Completion], OptionScores, OptionScores]:
    """Greedy texts, the scores of yes and no, and the score of a whole text, of the engine."""

    async def main() -> tuple[list[Completion], OptionScores, OptionScores]:
        engine = TransformersEngine(MODEL, mode=mode, dtype="float32", device="cpu", threads=1)
        try:
            texts = [await engine.sample(prompt, n=1, sampling=GREEDY) for prompt in PROMPTS]
            options, text = await engine.score(CHOICE, ["yes", "no"]), await engine.score(CHOICE, [WHOLE_TEXT])
            return [sample for (sample,) in texts], options, text
        finally:
            await engine.aclose()

    return asyncio.run(main())


def same_beginning(one: str, other: str) -> float:
    """The share of the longer text that both begin with."""
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return length / max(len(one), len(other), 1)


def per_token(completion: Completion) -> float:
    assert completion.logprob is not None
    return completion.logprob / completion.tokens


def check_sampling(runner: asyncio.Runner, llm: LLM, *, at_once: bool = True) -> None:
    """n samples with log-probabilities, the same for the same seed, others for another one. Not `at_once` for a server
    whose rounding depends on what else it reads in the same batch."""
    first, again = (ask(runner, llm, WARM, n=4, at_once=at_once) for _ in range(2))
    for samples in first:
        assert len(samples) == 4
        assert len({one.text for one in samples}) > 1
        assert all(one.logprob is not None and one.logprob < 0 and 0 < one.tokens <= 24 for one in samples)
        assert all(one.prompt_tokens > 10 for one in samples)
    assert [[one.text for one in samples] for samples in again] == [[one.text for one in samples] for samples in first]
    other = ask(runner, llm, Sampling(0.8, 24, seed=6), n=4)
    assert [[one.text for one in samples] for samples in other] != [[one.text for one in samples] for samples in first]


def check_stop(runner: asyncio.Runner, llm: LLM, *, at_once: bool = True) -> None:
    """A text ends before its stop string; one that is cut off says so."""
    whole = ask(runner, llm, GREEDY, at_once=at_once)[0][0]
    mark = whole.text[len(whole.text) // 2 :][:3]
    stopped = ask(runner, llm, Sampling(0.0, 24, seed=5, stop=(mark,)), at_once=at_once)[0][0]
    assert (stopped.text, stopped.finish) == (whole.text.partition(mark)[0], "stop")
    cut = ask(runner, llm, Sampling(0.0, 4, seed=5), at_once=at_once)[0][0]
    assert (cut.finish, cut.tokens) == ("length", 4)


def check_context(runner: asyncio.Runner, llm: LLM, words: int) -> None:
    """A prompt that is too long is the fault of the request, not of the settings or of the network."""
    with pytest.raises(ModelFault):
        runner.run(llm.sample(Prompt("", "word " * words), n=1, sampling=GREEDY))
    assert runner.run(llm.sample(PROMPTS[0], n=1, sampling=GREEDY))


def check_scores(served: OptionScores | None, expected: OptionScores | None, tolerance: float) -> None:
    """The scores of options that the server lists are those of the engine."""
    assert served is not None
    assert expected is not None
    listed: Sequence[int] = [i for i in range(2) if i not in served.floored]
    assert listed
    for i in listed:
        assert served.logprobs[i] == pytest.approx(expected.logprobs[i], abs=tolerance)

"""The in-process engine against the library's plain `generate`, on the tiny random model."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.weights import encode_prompt, resolve_weights

T = TypeVar("T")
STATE = Prompt("", 'ORIGINAL_QUESTION = "Who founded the town where Ada Mell was born?"\n\n# step: decision\n')
OTHERS = [
    Prompt("Some instructions.\n", f'ORIGINAL_QUESTION = "{i} {"and so on " * i}"\n# step: answer\n') for i in range(9)
]


def with_engine(use: Callable[[TransformersEngine], Awaitable[T]], weights: str = "tiny-random", **settings: int) -> T:
    async def main() -> T:
        engine = TransformersEngine(weights, mode="completion", dtype="float32", threads=1, **settings)
        try:
            return await use(engine)
        finally:
            await engine.aclose()

    return asyncio.run(main())


def greedy(max_tokens: int = 12, stop: tuple[str, ...] = ()) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=max_tokens, seed=1, stop=stop)


def warm(seed: int) -> Sampling:
    return Sampling(temperature=0.8, max_tokens=12, seed=seed)


def test_a_greedy_sample_is_what_generate_writes_with_its_log_probability() -> None:
    folder = resolve_weights("tiny-random")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = encode_prompt(tokenizer, STATE, "completion")
    out = model.generate(
        torch.tensor([ids]), max_new_tokens=12, do_sample=False, return_dict_in_generate=True, output_scores=True
    )
    new = out.sequences[0, len(ids) :]
    logprobs = [float(s[0].log_softmax(0)[i]) for s, i in zip(out.scores, new, strict=True)]
    (sample,) = with_engine(lambda engine: engine.sample(STATE, n=1, sampling=greedy()))
    text = tokenizer.decode(new, skip_special_tokens=True)
    assert list(sample.token_ends) == sorted(sample.token_ends)
    assert (len(sample.token_ends), sample.token_ends[-1]) == (12, len(text.encode()))
    assert sample == Completion(
        text, 12, pytest.approx(sum(logprobs), abs=1e-3), "length", len(ids),
        sample.token_ends, pytest.approx(logprobs, abs=1e-3),
    )  # fmt: skip


def test_a_sample_ends_at_the_tokenizer_s_end_where_the_generation_config_names_another(tmp_path: Path) -> None:
    base = resolve_weights("tiny-random")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    torch.nn.init.zeros_(model.model.norm.weight)  # all tokens are equally likely, and the first is taken
    model.generation_config.eos_token_id, tokenizer.eos_token = 5, tokenizer.convert_ids_to_tokens(0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (sample,) = with_engine(lambda engine: engine.sample(STATE, n=1, sampling=greedy()), str(tmp_path))
    assert (sample.text, sample.tokens, sample.finish) == ("", 1, "stop")


@pytest.mark.parametrize(("requests", "tokens"), [(4, 32), (32, 256)])  # the second decodes in groups
def test_a_sample_does_not_depend_on_the_rest_of_the_batch(requests: int, tokens: int) -> None:
    async def alone(engine: TransformersEngine) -> list[Completion]:
        return await engine.sample(STATE, n=3, sampling=warm(5))

    async def crowded(engine: TransformersEngine) -> list[Completion]:
        others = [engine.sample(prompt, n=2, sampling=warm(i)) for i, prompt in enumerate(OTHERS)]
        *_, wanted = await asyncio.gather(*others, engine.sample(STATE, n=3, sampling=warm(5)))
        return wanted

    quiet, busy = with_engine(alone), with_engine(crowded, batch_requests=requests, batch_tokens=tokens)
    assert [(s.text, s.tokens, s.finish) for s in busy] == [(s.text, s.tokens, s.finish) for s in quiet]
    assert [s.logprob for s in busy] == pytest.approx([s.logprob for s in quiet], abs=1e-3)
    assert len({s.text for s in quiet}) == 3


def counted(n: int, sampling: Sampling) -> tuple[list[Completion], int]:
    """n samples, and the tokens that the model read for them."""
    read = 0

    def count(_: object, given: Sequence[torch.Tensor], named: Mapping[str, torch.Tensor]) -> None:
        nonlocal read
        read += (named["input_ids"] if "input_ids" in named else given[0]).numel()

    async def sample(engine: TransformersEngine) -> list[Completion]:
        await asyncio.to_thread(engine._start)
        engine._manager.model.register_forward_pre_hook(count, with_kwargs=True)
        return await engine.sample(STATE, n=n, sampling=sampling)

    return with_engine(sample), read


def test_samples_that_are_equal_are_computed_once() -> None:
    (one, read_for_one), (four, read_for_four) = counted(1, greedy()), counted(4, greedy())
    assert [sample.text for sample in four] == [one[0].text] * 4
    assert [sample.logprob for sample in four] == [one[0].logprob] * 4
    assert read_for_four == read_for_one


def test_a_sample_says_the_same_whatever_others_it_shares_its_beginning_with() -> None:
    how = replace(warm(5), temperature=0.02)
    (one, read_for_one), (six, read_for_six) = counted(1, how), counted(6, how)
    assert six[0].text == one[0].text
    assert 1 < len({sample.text for sample in six}) <= 6
    assert [sample.text for sample in counted(3, how)[0]] == [sample.text for sample in six[:3]]
    assert [sample.logprob for sample in counted(3, how)[0]] == pytest.approx([s.logprob for s in six[:3]], abs=1e-3)
    assert read_for_six < 6 * read_for_one


def test_another_seed_says_something_else_and_the_same_seed_the_same() -> None:
    async def three(engine: TransformersEngine) -> list[str]:
        return [(await engine.sample(STATE, n=1, sampling=warm(seed)))[0].text for seed in (1, 1, 2)]

    first, again, other = with_engine(three)
    assert first == again != other


def test_a_stop_string_ends_the_sample_and_is_not_part_of_it() -> None:
    async def both(engine: TransformersEngine) -> tuple[Completion, Completion]:
        (free,) = await engine.sample(STATE, n=1, sampling=greedy(24))
        mark = free.text[8:11]
        (stopped,) = await engine.sample(STATE, n=1, sampling=greedy(24, (mark,)))
        assert stopped.text == free.text.split(mark, 1)[0]
        return free, stopped

    free, stopped = with_engine(both)
    assert (free.finish, stopped.finish) == ("length", "stop")
    assert stopped.tokens < free.tokens


def test_a_prompt_that_does_not_fit_is_the_models_fault() -> None:
    long = Prompt("", "word " * 20000)
    with pytest.raises(ModelFault, match="context too long"):
        with_engine(lambda engine: engine.sample(long, n=1, sampling=greedy()))


def test_a_cache_too_small_for_a_prompt_is_the_settings_fault() -> None:
    with pytest.raises(UsageError, match=r"cache_tokens=256 is too small: a prompt needs \d+"):
        with_engine(lambda engine: engine.sample(Prompt("", "word " * 200), n=1, sampling=greedy()), cache_tokens=256)


def test_a_cache_that_cannot_be_allocated_is_an_external_fault_that_names_the_setting() -> None:
    with pytest.raises(OutsideFault, match="cache_tokens"):
        with_engine(lambda engine: engine.sample(STATE, n=1, sampling=greedy()), cache_tokens=10**10)


def test_asking_for_a_gpu_where_there_is_none_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    engine = TransformersEngine("tiny-random", mode="completion", device="cuda")
    with pytest.raises(UsageError, match="no GPU"):
        asyncio.run(engine.sample(STATE, n=1, sampling=greedy()))


def test_a_closed_engine_opens_again_at_the_next_call() -> None:
    async def twice(engine: TransformersEngine) -> list[str]:
        first = await engine.sample(STATE, n=1, sampling=greedy())
        await engine.aclose()
        return [first[0].text, (await engine.sample(STATE, n=1, sampling=greedy()))[0].text]

    first, second = with_engine(twice)
    assert first == second


@pytest.mark.parametrize("options", [("A", "B", "C"), ("yes", "no"), ("Ada Mell", "the town of Ostrim")])
def test_the_score_of_an_option_is_the_log_softmax_of_a_full_forward_pass(options: tuple[str, ...]) -> None:
    folder = resolve_weights("tiny-random")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = encode_prompt(tokenizer, STATE, "completion")

    def logprob(text: str) -> float:
        own = tokenizer.encode(text, add_special_tokens=False)
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids + own])).logits[0].log_softmax(-1)
        return sum(float(logprobs[len(ids) - 1 + at, token]) for at, token in enumerate(own))

    spelled = [{o, f" {o}"} | ({o.capitalize(), f" {o.capitalize()}"} if o.islower() else set()) for o in options]
    expected = [torch.tensor([logprob(text) for text in texts]).logsumexp(0).item() for texts in spelled]

    async def among_others(engine: TransformersEngine) -> OptionScores:
        sampled = asyncio.gather(*(engine.sample(STATE, n=2, sampling=warm(i)) for i in range(3)))
        scores = await engine.score(STATE, options)
        await sampled
        return scores

    scores = with_engine(among_others)
    assert scores.logprobs == pytest.approx(expected, abs=1e-3)
    assert (scores.floored, scores.prompt_tokens) == ((), len(ids))


def test_a_prompt_that_is_read_in_several_batches_with_nothing_else_in_flight_gives_the_same() -> None:
    async def both(engine: TransformersEngine) -> tuple[str, OptionScores]:
        (sampled,) = await engine.sample(OTHERS[8], n=1, sampling=greedy())
        return sampled.text, await engine.score(STATE, ("yes", "no"))

    (text, scores), (other_text, other_scores) = (with_engine(both, batch_tokens=size) for size in (512, 16))
    assert text == other_text
    assert scores.logprobs == pytest.approx(other_scores.logprobs, abs=1e-3)


def test_scores_of_a_prompt_that_is_too_long_are_refused() -> None:
    with pytest.raises(ModelFault, match="context too long"):
        with_engine(lambda engine: engine.score(Prompt("", "word " * 9000), ["A"]))

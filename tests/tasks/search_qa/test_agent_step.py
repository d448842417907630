"""One step: what is asked, what is stored, and which sample moves on."""

import asyncio
import itertools
import math

import pytest

from rest_react.errors import ModelFault, OutsideFault
from rest_react.prompts import Exemplar, StepPrompt, closing
from rest_react.records import Candidate, Completion, Hit, Prompt, Sampling, Step
from rest_react.tasks.protocol import Policy
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.search_qa.actions import (
    STEP_KINDS,
    Action,
    Answer,
    LinkSelection,
    Search,
    Terminate,
    render_output,
)
from rest_react.tasks.search_qa.prompt_files import CLOSINGS
from rest_react.tasks.search_qa.scripted import RecordedLLM
from rest_react.tasks.search_qa.step import Sampled, parse_step, take_step
from rest_react.trajectories.parsed import ParsedAction, ParsedStep

STATE = 'ORIGINAL_QUESTION = "Why?"\n\n# step: decision\n'
NO_PROMPTS = StepPrompts(exemplars="never")
ADA, BOB, STOP = Search("Ada", "x"), Search("Bob", "x"), Terminate("x")


def candidate(text: str, logprob: float | None = -1.0, tokens: int = 1) -> Candidate:
    return Candidate(text, tokens, logprob, "stop")


def completion(action_or_text, logprob=-1.0, tokens=1, finish="stop", prompt_tokens=9):
    text = action_or_text if isinstance(action_or_text, str) else render_output(action_or_text)
    return Completion(text, tokens, logprob, finish, prompt_tokens)


def bare(action) -> str:
    return render_output(action).removesuffix("  # [END]")


class Taken:
    """A sampled step, and the action that it chose."""

    def __init__(self, sampled: Sampled) -> None:
        self.sampled, self.step = sampled, sampled.parsed.step
        self.action = sampled.parsed.chosen.action if sampled.parsed.chosen else None


def actions_of(step: Step) -> list[Action | None]:
    return [parsed.action for parsed in parse_step(step).actions]


def step(samples, kind="decide", select="perplexity", state=STATE, prompts=NO_PROMPTS, tuned=True, **shown):
    llm = RecordedLLM({"": [samples]})
    policy = Policy(llm, samples=len(samples), temperature=0.7, max_tokens=99, select=select, tuned=tuned)
    return Taken(asyncio.run(take_step(policy, kind, state, prompts, 5, **shown))), llm


def test_all_samples_are_stored_and_the_parsable_one_with_the_lowest_perplexity_is_chosen() -> None:
    samples = [
        completion("no call at all", logprob=-0.1),
        completion(ADA, logprob=-30.0, tokens=10),
        completion(BOB, logprob=-20.0, tokens=10),
        completion(STOP, logprob=-12.0, tokens=3),
    ]
    taken, llm = step(samples)
    none = "no call of ActionWrapper, Search or Terminate"
    stored = Step(
        "decide",
        STATE,
        (
            Candidate("no call at all", 1, -0.1, "stop", none),
            Candidate(bare(ADA), 10, -30.0, "stop"),
            Candidate(bare(BOB), 10, -20.0, "stop"),
            Candidate(bare(STOP), 3, -12.0, "stop"),
        ),
        chosen=2,
    )
    parsed = (
        ParsedAction(None, none),
        ParsedAction(ADA, "", bare(ADA), "search ada", complete=True),
        ParsedAction(BOB, "", bare(BOB), "search bob", complete=True),
        ParsedAction(STOP, "", bare(STOP), "terminate", complete=True),
    )
    assert taken.sampled == Sampled(ParsedStep(stored, parsed), prompt_tokens=9)
    assert parse_step(stored) == ParsedStep(stored, parsed)
    assert llm.asked == [(Prompt("", STATE), Sampling(temperature=0.7, max_tokens=99, seed=5, stop=("# [END]",)))]


def test_an_untuned_policy_gets_instructions_and_exemplars() -> None:
    shown = StepPrompt("Do it.\n", (Exemplar("a state\n", "an output  # [END]"),))
    prompts = StepPrompts(dict.fromkeys(STEP_KINDS, shown), CLOSINGS)
    _, llm = step([completion(ADA)], prompts=prompts, tuned=False)
    ((prompt, _),) = llm.asked
    assert (prompt.prefix, prompt.state, prompt.turns) == ("Do it.\n\n", STATE, (("a state\n", "an output  # [END]"),))
    assert prompt.closing == closing(CLOSINGS["decide"])
    _, llm = step([completion(ADA)], prompts=prompts, tuned=True)
    assert llm.asked[0][0] == Prompt("", STATE)


def test_a_sound_sample_is_preferred_and_without_one_the_lowest_perplexity_decides() -> None:
    samples = [completion("prose", logprob=-0.1), completion(ADA, logprob=-1.0), completion(BOB, logprob=-9.0)]
    for sound, chosen in (([BOB], BOB), ([ADA, BOB], ADA), ([], ADA)):
        taken, _ = step(samples, sound=sound.__contains__)
        assert taken.action == chosen


def test_a_single_sample_is_not_checked() -> None:
    asked: list[Action] = []
    taken, _ = step([completion(ADA), completion("prose")], sound=lambda action: bool(asked.append(action)))
    assert (taken.action, asked) == (ADA, [])


def test_text_after_the_end_mark_is_removed() -> None:
    taken, _ = step([completion(render_output(ADA) + "\n" + render_output(BOB))])
    assert (taken.action, taken.step.candidates[0].text) == (ADA, bare(ADA))


def test_a_step_without_a_parsable_sample_chooses_none() -> None:
    taken, _ = step([completion("prose"), completion("", tokens=0)])
    assert (taken.action, taken.step.chosen) == (None, None)
    assert all(candidate.problem for candidate in taken.step.candidates)


def test_a_truncated_sample_is_marked() -> None:
    taken, _ = step([completion("let me think", tokens=99, finish="length")])
    assert taken.step.candidates[0].problem == ("cut off at 99 tokens: no call of ActionWrapper, Search or Terminate")


@pytest.mark.parametrize(
    ("finish", "tokens", "end", "used"),
    [
        ("length", 99, "", False),  # the call could be repaired, and even one that is whole was not ended by the model
        ("length", 99, '")', False),
        ("length", 60, "", False),
        ("", 99, '")', False),  # a server that does not say how a sample ended
        ("stop", 99, "", False),  # one that says `stop` at its limit too
        ("stop", 99, '")', True),
        ("stop", 60, "", True),  # the model ended it, and a repair closes it
        ("length", 99, '")  # [END]', True),  # the last token completed the end mark
    ],
)
def test_a_truncated_sample_is_not_chosen(finish, tokens, end, used) -> None:
    cut = f'ACTION_SELECTED = Answer(thoughts="Done.", answer="Ostrim was founded by Ada{end}'
    taken, _ = step([completion(cut, logprob=-0.1, tokens=tokens, finish=finish)], kind="answer")
    assert (taken.action is not None, taken.step.chosen) == ((True, 0) if used else (False, None))
    assert taken.step.candidates[0].problem == ("" if used else f"cut off at {tokens} tokens")
    assert actions_of(taken.step) == [taken.action]
    other, _ = step([completion(cut, logprob=-0.1, tokens=tokens, finish=finish), completion(Answer("t", "a"), -50.0)],
                    kind="answer")  # fmt: skip
    assert other.step.chosen == (0 if used else 1)


def spelled(parts: dict[str, float], finish="stop") -> Completion:
    """A sample whose tokens are given with their log-probabilities."""
    ends = list(itertools.accumulate(len(part.encode()) for part in parts))
    return Completion("".join(parts), len(parts), sum(parts.values()), finish, 9, tuple(ends), tuple(parts.values()))


def test_perplexity_is_over_the_comments_and_the_call_only() -> None:
    bare_call = {"ACTION_SELECTED": -0.5, " =": -0.1, " Search": -1.0, '("': -1.0, "née": -2.0, '")': -1.0}
    wrapped = {"Certainly": -0.01, "! Here it is:": -0.01, "\n```python": -0.01, "\n": -0.01, "# Why": -3.0,
               " not.": -3.0, "\n\n": -0.01, "Search": -1.0, '("': -1.0, "née": -2.0, '")\n': -1.0, "```": -0.01,
               "# [END]": -0.01, "and so on": -0.01}  # fmt: skip
    taken, _ = step([spelled(bare_call), spelled(wrapped)])
    plain, fenced = taken.step.candidates
    assert (plain.action_tokens, plain.action_logprob) == (4, -5.0)
    assert (fenced.action_tokens, fenced.action_logprob) == (6, -11.0)
    assert plain.perplexity == math.exp(5 / 4)
    assert math.exp(-fenced.logprob / fenced.tokens) < math.exp(-plain.logprob / plain.tokens)  # of the whole samples
    assert taken.step.chosen == 0


def test_perplexity_is_over_the_whole_sample_if_token_positions_are_unknown() -> None:
    taken, _ = step([completion(ADA, logprob=-30.0, tokens=10)])
    (sample,) = taken.step.candidates
    assert (sample.action_tokens, sample.action_logprob, sample.perplexity) == (0, None, math.exp(3))


def test_a_link_that_was_not_shown_makes_a_candidate_unusable() -> None:
    hits = (Hit("p1", "Dusk", "..."), Hit("p2", "Dawn", "..."))
    unknown, known = LinkSelection("s", "t", (4, 6)), LinkSelection("s", "t", (5,))
    samples = [completion(unknown, logprob=-0.1), completion(known, logprob=-9.0)]
    taken, _ = step(samples, kind="summarise", hits=hits, first_link=4)
    assert (taken.action, taken.step.chosen, taken.step.hits, taken.step.first_link) == (known, 1, hits, 4)
    assert [c.problem for c in taken.step.candidates] == ["selects link 6, which was not shown", ""]
    assert actions_of(taken.step) == [None, known]


@pytest.mark.parametrize("fault", [ModelFault("refused"), OutsideFault("HTTP 503")])
def test_errors_of_the_client_are_raised(fault) -> None:
    with pytest.raises(type(fault), match=str(fault)):
        policy = Policy(RecordedLLM({"": [fault]}), 1, 0.5, 9, "first", tuned=True)
        asyncio.run(take_step(policy, "decide", STATE, NO_PROMPTS, 0))

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_react.errors import OutsideFault
from rest_react.records import Completion, Hit, Hop, LabelledQuestion, Plan, Prompt, Sampling
from rest_react.search.bm25 import Bm25Search
from rest_react.tasks.search_qa.actions import (
    STEP_KINDS,
    Action,
    Answer,
    LinkSelection,
    PastAction,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    StepKind,
    Terminate,
    empty_elements,
)
from rest_react.tasks.search_qa.reading.parsing import parse
from rest_react.tasks.search_qa.render_state import render_state
from rest_react.tasks.search_qa.scripted import RecordedLLM, ScriptedLLM
from rest_react.tasks.search_qa.world import build_world
from rest_react.text_safety.escaping import escape_control_tokens

WORLD = build_world(7, passages=900, demonstrations=16, train=36, evaluation=36)
SEARCH = Bm25Search(WORLD.passages)
ALL = (*WORLD.demonstrations, *WORLD.train, *WORLD.evaluation)
PLAN = Plan(
    "Where was the author of Dusk born?",
    (
        Hop("author of Dusk", "I need the author of Dusk.", "Dusk", "The author of Dusk is Ada Mell."),
        Hop("birthplace of Ada Mell", "I need her birthplace.", "Ada Mell", "The birthplace of Ada Mell is Velmar."),
    ),
    "I have every fact.",
    "The author of Dusk is Ada Mell {0}. The birthplace of Ada Mell is Velmar {1}.",
)
DUSK = ResultItem(1, "Dusk", "A novel by Ada Mell.")
DAWN = ResultItem(2, "Dawn", "A novel by Bor Tell.")
ADA = ResultItem(4, "Ada Mell", "Born in Velmar.")
HELD: tuple[PastAction, ...] = (
    Search("author of Dusk", "x"),
    SelectLink((DUSK,), "According to [link_id=1], ...", "x"),
    Search("birthplace of Ada Mell", "x"),
    SelectLink((ADA,), "According to [link_id=4], ...", "x"),
)
FULL = "The author of Dusk is Ada Mell [link_id=1]. The birthplace of Ada Mell is Velmar [link_id=4]."


def scripted(shares: Mapping[str, float] | None = None, *, slip: float = 0.0, seed: int = 0) -> ScriptedLLM:
    given_shares = {"right": 0.0, "wrong": 0.0, "unparsable": 0.0, "empty": 0.0, **(shares or {"right": 1.0})}
    return ScriptedLLM({**WORLD.plans, PLAN.question: PLAN}, seed=seed, slip=slip, **given_shares)


def sample(llm: ScriptedLLM, state: str, n: int = 1, seed: int = 0) -> list[Completion]:
    return asyncio.run(llm.sample(Prompt("", state), n=n, sampling=Sampling(0.5, 200, seed)))


def act(kind: StepKind, past: Sequence[PastAction], **rest: object) -> Action | None:
    state = render_state(kind, PLAN.question, past, **rest)  # type: ignore[arg-type]
    return parse(kind, sample(scripted(), state)[0].text).action


@dataclass
class Rollout:
    """A straight-line agent: no choice among samples, no failures, for the tests of the script alone."""

    llm: ScriptedLLM
    question: str
    past: list[PastAction] = field(default_factory=list)
    steps: list[tuple[StepKind, str, Completion]] = field(default_factory=list)
    links: int = 0

    def step(self, kind: StepKind, **rest: object) -> Action:
        state = render_state(kind, self.question, self.past, **rest)  # type: ignore[arg-type]
        completion = sample(self.llm, state)[0]
        self.steps.append((kind, state, completion))
        action = parse(kind, completion.text).action
        assert action is not None and not empty_elements(action), completion.text
        return action

    def run(self, budget: int = 8) -> str:
        for remaining in range(budget, -1, -1):
            decision = self.step("decide", remaining=remaining)
            assert isinstance(decision, Search | Terminate)
            self.past.append(decision)
            if isinstance(decision, Terminate):
                break
            self.summarise(asyncio.run(SEARCH.search(decision.query, 3)))
        draft = self.step("answer")
        assert isinstance(draft, Answer)
        self.past.append(draft)
        answer = draft.answer
        for kind in ("relevance", "grounding"):
            check = self.step(kind, answer=answer)
            answer = check.revised_answer if isinstance(check, ReviseAnswer) else answer
        return answer

    def summarise(self, hits: list[Hit]) -> None:
        items = [
            ResultItem(i, escape_control_tokens(hit.title), escape_control_tokens(hit.snippet))
            for i, hit in enumerate(hits, start=self.links + 1)
        ]
        self.links += len(items)
        summary = self.step("summarise", results=items)
        assert isinstance(summary, LinkSelection)
        kept = tuple(item for item in items if item.link_id in summary.selected_link_ids)
        self.past.append(SelectLink(kept, summary.grounded_summarization, summary.thoughts))


def is_gold(question: LabelledQuestion, answer: str) -> bool:
    bare = re.sub(r"\s*\[link_id=\d+\]", "", answer)
    said = any(re.search(rf"\b{gold}\b", bare) for gold in question.answers)
    return said and not any(re.search(rf"\b{other}\b", bare) for other in set(question.options) - set(question.answers))


@pytest.mark.parametrize("kind", ["bridge", "comparison", "date", "count", "yesno"])
def test_a_rollout_of_right_steps_reaches_the_gold_answer(kind: str) -> None:
    questions = [question for question in ALL if question.kind == kind]
    assert questions
    for question in questions:
        rollout = Rollout(scripted(), question.question.text)
        answer = rollout.run()
        assert is_gold(question, answer), (question, answer)
        # One search may bring two wanted passages at once.
        assert 2 * (question.hops or 0) + 2 <= len(rollout.steps) <= 2 * (question.hops or 0) + 4
        assert answer.count("[link_id=") == question.hops


def test_states_and_completions_stay_short_enough_for_a_small_model() -> None:
    words: dict[StepKind, list[tuple[int, int]]] = defaultdict(list)
    for question in (*WORLD.train, *WORLD.evaluation):
        rollout = Rollout(scripted(), question.question.text)
        rollout.run()
        for kind, state, completion in rollout.steps:
            words[kind].append((len(state.split()), completion.tokens))
    for kind in STEP_KINDS:
        states, outputs = zip(*words[kind], strict=True)
        assert max(outputs) < 70, kind
        assert max(states) < 350, kind
    everything = [state for counts in words.values() for state, _ in counts]
    assert sum(everything) / len(everything) < 150


def test_injected_errors_are_marked_and_repaired_by_later_steps() -> None:
    kinds: set[str] = set()
    for question in ALL:
        rollout = Rollout(scripted(slip=1.0), question.question.text)
        answer = rollout.run()
        slips = [(kind, i) for i, (kind, _, completion) in enumerate(rollout.steps) if completion.finish == "slip"]
        assert [kind for kind, _ in slips] == ["decide", "answer"]
        assert slips[0][1] == 0
        assert is_gold(question, answer)
        revised = [kind for kind, _, completion in rollout.steps if "Revise_Answer" in completion.text]
        assert len(revised) == 1
        kinds.update(revised)
        assert all(completion.finish in ("stop", "slip") for _, _, completion in rollout.steps)
    assert kinds == {"relevance", "grounding"}


def test_no_search_is_bad_where_the_plan_needs_all_that_are_left() -> None:
    llm = scripted(slip=1.0)
    for question in ALL:
        needed = len(WORLD.plans[question.question.text].hops)
        for remaining, finish in ((needed, "stop"), (needed + 1, "slip")):
            state = render_state("decide", question.question.text, (), remaining=remaining)
            assert sample(llm, state)[0].finish == finish


def test_a_bad_search_usually_selects_nothing_and_the_next_thoughts_say_so() -> None:
    empty = 0
    for question in ALL:
        rollout = Rollout(scripted(slip=1.0), question.question.text)
        rollout.run()
        summary = rollout.past[1]
        assert isinstance(summary, SelectLink)
        if not summary.selected_links:
            empty += 1
            assert summary.grounded_summarization == "Nothing is selected."
            repair = rollout.past[2]
            assert isinstance(repair, Search) and repair.thoughts.startswith("That found nothing")
            assert repair.query == WORLD.plans[question.question.text].hops[0].query
    assert empty / len(ALL) > 0.9


def test_injected_errors_have_the_given_rate_and_depend_only_on_question_and_state() -> None:
    def slipping(seed: int) -> list[str]:
        llm = scripted(slip=0.3, seed=seed)
        states = [(q.question.text, render_state("decide", q.question.text, (), remaining=5)) for q in ALL]
        return [text for text, state in states if sample(llm, state)[0].finish == "slip"]

    assert slipping(0) == slipping(0) != slipping(1)
    assert 0.15 < len(slipping(0)) / len(ALL) < 0.45


def test_the_first_open_hop_is_searched() -> None:
    assert act("decide", (), remaining=5) == Search("author of Dusk", "I need the author of Dusk.")
    assert act("decide", HELD[:2], remaining=4) == Search("birthplace of Ada Mell", "I need her birthplace.")
    assert act("decide", HELD, remaining=3) == Terminate("I have every fact.")


def test_a_search_without_result_is_not_repeated() -> None:
    failed = (Search("author of Dusk", "x"), SelectLink((), "Nothing is selected.", "x"))
    expected = Search("birthplace of Ada Mell", "That found nothing, so I ask precisely.")
    assert act("decide", failed, remaining=4) == expected
    both = (*failed, Search("birthplace of Ada Mell", "x"), SelectLink((), "Nothing is selected.", "x"))
    assert act("decide", both, remaining=3) == Terminate("More searches will not help, so I stop.")
    assert act("decide", (), remaining=0) == Terminate("More searches will not help, so I stop.")


def test_a_summary_selects_the_gold_link_and_comments_on_every_other() -> None:
    assert act("summarise", HELD[:1], results=(DAWN, DUSK)) == LinkSelection(
        "The author of Dusk is Ada Mell [link_id=1].",
        "I keep this link.",
        (1,),
        ("Not selected [link_id=2]: it is Dawn.",),
    )
    assert act("summarise", HELD[:1], results=(DAWN,)) == LinkSelection(
        "Nothing is selected.",
        "No link helps, so I need another query.",
        (),
        ("Not selected [link_id=2]: it is Dawn.",),
    )


def test_the_answer_cites_the_links_and_names_missing_facts() -> None:
    stop = Terminate("x")
    assert act("answer", (*HELD, stop)) == Answer("I have every fact.", FULL)
    assert act("answer", (*HELD[:2], stop)) == Answer(
        "Some facts are missing, and I say so.", "The links found [link_id=1] do not settle this question."
    )


@pytest.mark.parametrize(
    ("current", "relevance", "grounding"),
    [
        (FULL, "CheckAnswer", "CheckAnswer"),
        (re.sub(r" \[link_id=\d\]", "", FULL), "CheckAnswer", "ReviseAnswer"),
        ("It is Dusk [link_id=1].", "ReviseAnswer", "ReviseAnswer"),
    ],
)
def test_the_checks_revise_what_their_own_question_is_about(current: str, relevance: str, grounding: str) -> None:
    past = (*HELD, Terminate("x"), Answer("x", current))
    for kind, expected in (("relevance", relevance), ("grounding", grounding)):
        check = act(kind, past, answer=current)  # type: ignore[arg-type]
        assert type(check).__name__ == expected
        assert not isinstance(check, ReviseAnswer) or check.revised_answer == FULL


def test_a_question_without_a_plan_is_searched_for_and_answered_with_the_first_hit() -> None:
    rollout = Rollout(scripted(), "Which people own a company of lamps?")
    first = asyncio.run(SEARCH.search(rollout.question, 3))[0]
    assert rollout.run() == f"{first.snippet} [link_id=1]"
    nothing = Rollout(scripted(), "zzz qqq?")
    assert nothing.run() == "The links found do not settle this question."


def states_along(question: LabelledQuestion) -> list[tuple[StepKind, str]]:
    rollout = Rollout(scripted(slip=0.5), question.question.text)
    rollout.run()
    return [(kind, state) for kind, state, _ in rollout.steps]


STATES = [step for question in ALL for step in states_along(question)]


@settings(max_examples=150)
@given(st.sampled_from(STATES), st.integers(0, 2**62), st.sampled_from(["right", "wrong", "unparsable", "empty"]))
def test_every_kind_of_sample_is_parsed_as_its_name_says(step: tuple[StepKind, str], seed: int, share: str) -> None:
    kind, state = step
    right = parse(kind, sample(scripted(), state)[0].text).action
    for completion in sample(scripted({share: 1.0}), state, n=4, seed=seed):
        action = parse(kind, completion.text).action
        assert completion.finish == "stop"
        assert completion.tokens == len(completion.text.split())
        if share == "unparsable":
            assert action is None
        else:
            assert action is not None
            assert bool(empty_elements(action)) == (share == "empty")
            assert (action == right) == (share == "right")


@settings(max_examples=150)
@given(
    st.sampled_from(STEP_KINDS),
    st.text(max_size=40),
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=3),
    st.sampled_from(["right", "wrong", "unparsable", "empty"]),
    st.integers(0, 2**62),
)
def test_shares_hold_on_hostile_questions_and_passages_without_a_plan(
    kind: StepKind, question: str, hits: list[tuple[str, str]], share: str, seed: int
) -> None:
    items = [
        ResultItem(i, escape_control_tokens(title), escape_control_tokens(text))
        for i, (title, text) in enumerate(hits, start=1)
    ]
    past: list[PastAction] = [Search(escape_control_tokens(question), "x")]
    if kind != "summarise":
        past.append(SelectLink(tuple(items), "y", "z"))
    answer = "an answer" if kind in ("relevance", "grounding") else None
    state = render_state(kind, escape_control_tokens(question), past, remaining=3, results=items, answer=answer)
    for completion in sample(scripted({share: 1.0}), state, n=2, seed=seed):
        action = parse(kind, completion.text).action
        assert (action is None) == (share == "unparsable")
        assert action is None or bool(empty_elements(action)) == (share == "empty")


def test_wrong_answers_are_wrong() -> None:
    for question in ALL:
        rollout = Rollout(scripted(), question.question.text)
        rollout.run()
        for kind, state, _ in rollout.steps:
            if kind == "answer":
                for completion in sample(scripted({"wrong": 1.0}), state, n=4):
                    action = parse(kind, completion.text).action
                    assert isinstance(action, Answer) and not is_gold(question, action.answer)


def test_shares_are_normalised_and_met() -> None:
    state = render_state("decide", PLAN.question, (), remaining=5)
    completions = sample(scripted({"right": 5.0, "wrong": 2.0, "unparsable": 2.0, "empty": 1.0}), state, n=2000)
    actions = [parse("decide", completion.text).action for completion in completions]
    unparsable = sum(action is None for action in actions) / 2000
    empty = sum(bool(action and empty_elements(action)) for action in actions) / 2000
    right = sum(action == Search("author of Dusk", "I need the author of Dusk.") for action in actions) / 2000
    assert abs(unparsable - 0.2) < 0.04 and abs(empty - 0.1) < 0.03 and abs(right - 0.5) < 0.05


def test_a_sample_depends_on_the_seed_and_not_on_the_number_of_samples() -> None:
    llm = scripted({"right": 1.0, "wrong": 1.0, "unparsable": 1.0, "empty": 1.0})
    state = render_state("decide", PLAN.question, (), remaining=5)
    assert sample(llm, state, 8, seed=3) == sample(llm, state, 8, seed=3)
    assert sample(llm, state, 8, seed=3)[:3] == sample(llm, state, 3, seed=3)
    assert sample(llm, state, 8, seed=3) != sample(llm, state, 8, seed=4)


def test_right_samples_are_likelier_on_average_and_the_ranges_overlap() -> None:
    means: dict[str, list[float]] = {}
    for share in ("right", "wrong"):
        drawn = [sample(scripted({share: 1.0}), state)[0] for _, state in STATES]
        means[share] = [-(completion.logprob or 0.0) / completion.tokens for completion in drawn]
    right, wrong = means["right"], means["wrong"]
    assert sum(right) / len(right) < sum(wrong) / len(wrong)
    assert max(right) > min(wrong)
    assert min(right + wrong) > 0


def test_the_whole_prompt_is_counted() -> None:
    state = render_state("decide", PLAN.question, (), remaining=5)
    prompt = Prompt("Some instructions first.\n", state)
    completion = asyncio.run(scripted().sample(prompt, n=1, sampling=Sampling(0.5, 100, 0)))[0]
    assert completion.prompt_tokens == 3 + len(state.split())


def test_a_recorded_model_replies_by_key_and_in_order() -> None:
    exact = Completion("two words", 7, -3.5, "length", 11)
    llm = RecordedLLM({"first": [["a", exact], OutsideFault("HTTP 503"), ["z"]], "": [["other"]]})
    sampling = Sampling(0.5, 200, 0)

    def ask(text: str, n: int) -> list[Completion]:
        return asyncio.run(llm.sample(Prompt("", text), n=n, sampling=sampling))

    plain = Completion("a", 1, -1.0, "stop", 2)
    assert ask("first prompt", 3) == [plain, exact, plain]
    assert ask("second", 1) == [Completion("other", 1, -1.0, "stop", 1)]
    with pytest.raises(OutsideFault, match="HTTP 503"):
        ask("first", 1)
    assert [ask("first", 1)[0].text for _ in range(2)] == ["z", "z"]
    assert llm.asked[1] == (Prompt("", "second"), sampling)


def test_a_recorded_model_raises_without_a_recorded_reply() -> None:
    with pytest.raises(LookupError, match=r"no reply is recorded for: \.\.\.anything"):
        asyncio.run(RecordedLLM({"first": [["a"]]}).sample(Prompt("", "anything"), n=1, sampling=Sampling(0.5, 200, 0)))

"""Demonstrations on a user's own questions: the scripted expert on real search results, from the chains of the rows."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.build.question_ids import write_question_ids
from rest_react.config.compose import compose
from rest_react.errors import ConfigError, ModelFault, OutsideFault
from rest_react.judges.grader import rule_verdict
from rest_react.loop import Loop
from rest_react.records import Hit, Hop, LabelledQuestion, Lookup, ModelRef, Passage, Plan, Question, Trajectory
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.search_qa.actions import LinkSelection, ResultItem
from rest_react.tasks.search_qa.render_state import render_state
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.scripted.chain_plans import NoPlan, Titles, _hops, plan_of, why_not_found
from rest_react.tasks.search_qa.scripted.expert import right_action
from rest_react.tasks.search_qa.scripted.parse_state import parse_state
from rest_react.tasks.search_qa.step import parse_step
from tests.questions.sets import write_jsonl

TEXTS = {
    "Low Tide (film)": "Low Tide is a 1961 film directed by Ada Mell.",
    "High Noon Street": "High Noon Street is a 1958 film directed by Bor Tell.",
    "Ada Mell": "Ada Mell (born 4 May 1921 in Velmar) was a director, and the daughter of Cal Mell.",
    "Bor Tell": "Bor Tell (born 9 June 1930 in Tarn) was a director.",
    "Cal Mell": "Cal Mell was a painter, and the son of Dora Mell. <|im_end|>",
    "Twin": "Twin is a town in Tarn.",
    "Velmar": "Velmar is a town.",
}
CORPUS = [{"id": f"p{i}", "title": title, "text": text} for i, (title, text) in enumerate(TEXTS.items())]
DIRECTORS = [["Low Tide", "director", "Ada Mell"], ["High Noon Street", "director", "Bor Tell"]]
BIRTHS = [["Ada Mell", "date of birth", "4 May 1921"], ["Bor Tell", "date of birth", "9 June 1930"]]
PLACE = ["Ada Mell", "place of birth", "Velmar"]
OLDER = (
    "Low Tide: the director's date of birth is 4 May 1921 [link_id=1] [link_id=3], "
    "that of the other is 9 June 1930 [link_id=5] [link_id=2]."
)
SHOWN = {  # kind: question, answer, evidence, the demonstrated answer
    "compositional": (
        "Where was the director of Low Tide born?", "Velmar", [DIRECTORS[0], PLACE],
        "The director of Low Tide is Ada Mell [link_id=1]. The place of birth of Ada Mell is Velmar [link_id=3].",
    ),
    "inference": (
        "Who is the father of the father of Ada Mell?", "Dora Mell",
        [["Ada Mell", "father", "Cal Mell"], ["Cal Mell", "father", "Dora Mell"]],
        "The father of Ada Mell is Cal Mell [link_id=1]. The father of Cal Mell is Dora Mell [link_id=3].",
    ),
    "comparison": (
        "Who was born first, Bor Tell or Ada Mell?", "Ada Mell", [BIRTHS[1], BIRTHS[0]],
        "Ada Mell: the date of birth is 4 May 1921 [link_id=3], that of the other is 9 June 1930 [link_id=1].",
    ),
    "bridge_comparison": (
        "Which film has the older director, Low Tide or High Noon Street?", "Low Tide", [*DIRECTORS, *BIRTHS],
        OLDER,
    ),
    "yes_no": (
        "Were Ada Mell and Bor Tell born in the same town?", "no", [PLACE, ["Bor Tell", "place of birth", "Tarn"]],
        "No, the place of birth: for Ada Mell it is Velmar [link_id=1], for Bor Tell it is Tarn [link_id=3].",
    ),
}  # fmt: skip
LEFT_OUT = {  # reason: answer, evidence, evidence_ids
    "it has no chain": ("Velmar", [], []),
    "a passage of its chain is not in the corpus": ("Velmar", [["Nobody", "home", "Velmar"]], []),
    "two passages of the corpus have the title of one of its chain": ("Tarn", [["Twin", "country", "Tarn"]], []),
    "a passage does not state what its chain says": ("196", [["Low Tide", "year", "196"]], []),
    "search does not find a passage of its chain": ("town", [["Bor Tell", "son", "town"]], ["p6"]),
    "its chain does not end with the gold answer": ("Tarn", [DIRECTORS[0], PLACE], []),
    "the values of its chain are the same, and its gold answer says that they are not": (
        "no",
        [["Low Tide", "kind", "film"], ["High Noon Street", "kind", "film"]],
        ["p0", "p1"],
    ),
}


def loop(folder: Path, *overrides: str) -> Loop:
    """A run that demonstrates the rows of shown.jsonl and grows on those of grown.jsonl."""
    passages = [*CORPUS, {"id": "other", "title": "Twin", "text": "Another Twin."}]
    corpus = write_jsonl(folder / "corpus.jsonl", *passages)
    given = (
        "experiment=local_corpus", f"data={folder}", "tracking=none", "demonstrations.questions=file",
        f"demonstrations.questions.path={folder / 'shown.jsonl'}", f"demonstrations.questions.corpus={corpus}",
        f"grow.questions.path={folder / 'grown.jsonl'}", f"evaluate.benchmarks.local.path={folder / 'grown.jsonl'}",
        "demonstrations.slip=0", "improve.selector=perplexity", "improve.reward=generate", *overrides,
    )  # fmt: skip
    settings = compose(given)
    return Loop(settings, Parts(settings, RunFolder(folder / "run")))


def trajectories(folder: Path, k: int) -> dict[str, Trajectory]:
    lines = read_lines(folder / f"run/iter_{k}/grow" / TRAJECTORIES, Trajectory)
    return {trajectory.question_id: trajectory for trajectory in lines}


def ready(folder: Path) -> Path:
    """Rows to demonstrate; rows to grow on, whose labels say xyzzy."""
    shown = [
        {"id": kind, "question": question, "answers": [answer], "evidence": evidence}
        for kind, (question, answer, evidence, _) in SHOWN.items()
    ]
    shown += [
        {
            "id": str(i),
            "question": "Are both of the same kind?" if answer == "no" else f"Which {i} is that?",
            "answers": [answer],
            "evidence": evidence,
            "evidence_ids": ids,
        }
        for i, (answer, evidence, ids) in enumerate(LEFT_OUT.values())
    ]
    write_jsonl(folder / "shown.jsonl", *shown)
    chain = {"answers": ["xyzzy"], "evidence": [["Velmar", "xyzzy", "xyzzy"]], "explanation": "xyzzy"}
    write_jsonl(folder / "grown.jsonl", {"id": "g", "question": "Which kind of place is Velmar?", **chain})
    return folder


def write_ids(made: Loop) -> None:
    """What a run does before its first stage."""
    written = write_question_ids(made.settings, made.parts, made.grow_set, made.benchmarks.sets)
    made.demonstrations = asyncio.run(written)


def test_every_kind_of_question_is_demonstrated_on_what_the_search_returns(tmp_path: Path) -> None:
    made = loop(ready(tmp_path))
    write_ids(made)
    expert = ScriptedLLM({}, seed=0, right=1, wrong=0, unparsable=0, empty=0)
    asyncio.run(made.run_grow(0, expert, ModelRef("tiny", "base", tuned=False)))
    found = trajectories(tmp_path, 0)
    assert {kind: trajectory.answer for kind, trajectory in found.items()} == {
        kind: says for kind, (_, _, _, says) in SHOWN.items()
    }
    labelled = {row.question.id: row for row in made.demonstrations}
    for kind, trajectory in found.items():
        assert rule_verdict(labelled[kind], trajectory.answer).verdict == "correct"
        parsed = [parse_step(step) for step in trajectory.steps]
        assert all(step.actions[0].action is not None and step.actions[0].complete for step in parsed)
        assert all(step.actions[0].action.comments == () for step in parsed if step.step.kind == "summarise")
        assert [step.kind for step in trajectory.steps[-3:]] == ["answer", "relevance", "grounding"]
        for step in trajectory.steps:
            assert [TEXTS[hit.title.replace("< |", "<|")] for hit in step.hits if hit.title in TEXTS] == [
                hit.snippet.replace("< |", "<|") for hit in step.hits if hit.title in TEXTS
            ]


def test_a_question_that_cannot_be_demonstrated_is_left_out_with_the_reason(tmp_path: Path, capsys) -> None:
    made = loop(ready(tmp_path))
    write_ids(made)
    assert json.loads((tmp_path / "run/questions.json").read_text()) == {
        "demonstrations": list(SHOWN),
        "left_out_demonstrations": {str(i): reason for i, reason in enumerate(LEFT_OUT)},
        "grow": ["g"],
        "evaluate": {"local": ["g"]},
    }
    assert "5 of 12 demonstrations; left out: " in capsys.readouterr().err
    write_ids(loop(tmp_path, "agent.max_searches=2"))
    told = json.loads((tmp_path / "run/questions.json").read_text())["left_out_demonstrations"]
    assert told["bridge_comparison"] == "it needs more searches than agent.max_searches"


LOW_TIDE = LabelledQuestion(Question("q", "Where was the director of Low Tide born?"), ("Velmar",))
DIRECTED, BORN = Lookup("Low Tide", "director", "Ada Mell", "p0"), Lookup("Ada Mell", "place of birth", "Velmar", "p0")


def test_a_query_names_nothing_that_is_still_to_be_found() -> None:
    titles = Titles([Passage("p0", "Low Tide (film)", "")])
    (hop,) = plan_of(replace(LOW_TIDE, chain=(DIRECTED, BORN)), titles).hops
    found = "The director of Low Tide is Ada Mell; The place of birth of Ada Mell is Velmar."
    assert hop == Hop(
        "director of Low Tide", "I need the director of Low Tide.", "Low Tide (film)", found, ("Ada Mell", "Velmar")
    )
    text, later = LOW_TIDE.question.text, Lookup("Velmar", "country", "Tarnland")
    hops = _hops(text, {"Low Tide": [DIRECTED, later], "Ada Mell": [BORN]})
    assert [hop.query for hop in hops] == ["director of Low Tide", "place of birth of Ada Mell"]
    steps = [Lookup("", "Who directed Low Tide?", "Ada Mell"), Lookup("", "Where was Ada Mell born?", "Velmar")]
    assert [hop.query for hop in _hops(text, {"Low Tide": steps})] == ["Who directed Low Tide?"]
    both = [Lookup("Ada Mell", "father", "Cal Mell"), BORN]
    (named,) = _hops("Where was Ada Mell born, and who is her father?", {"Ada Mell": both})
    assert named.query == "father of Ada Mell and place of birth of Ada Mell"
    with pytest.raises(NoPlan, match="a search of its chain would name what is still to be found"):
        _hops("Who is that?", {"Ada Mell": [Lookup("Ada Mell", "name", "Ada Mell")]})


def test_a_query_that_the_engine_refuses_leaves_its_question_out() -> None:
    class Refusing:
        async def search(self, query: str, k: int) -> list[Hit]:
            raise ModelFault("searx at http://x.example: HTTP 400: the query is too long")

    plan = Plan("q", (Hop("author of Dusk", "t", "Ada Mell", "f.", ("Velmar",)),), "t", "{0}")
    told = "search refuses a query of its chain (searx: HTTP 400)"
    assert asyncio.run(why_not_found(plan, Refusing(), compose([]).agent)) == told


def test_a_resumed_run_keeps_the_demonstrations_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down:
        async def search(self, query: str, k: int) -> list[Hit]:
            raise OutsideFault("no network")

    made, file = loop(ready(tmp_path)), tmp_path / "run" / "questions.json"
    write_ids(made)
    expert = ScriptedLLM({}, seed=0, right=1, wrong=0, unparsable=0, empty=0)
    asyncio.run(made.run_grow(0, expert, ModelRef("tiny", "base", tuned=False)))
    written = file.read_bytes()
    monkeypatch.setattr(Parts, "search", lambda *_: Down())
    resumed = loop(tmp_path)
    write_ids(resumed)
    assert [row.question.id for row in resumed.demonstrations] == list(SHOWN)
    assert file.read_bytes() == written
    file.write_text("{")  # damaged: the engine is asked again
    with pytest.raises(OutsideFault, match="no network"):
        write_ids(resumed)


class OneHit:
    """A search engine with one passage."""

    def __init__(self, title: str) -> None:
        self.hit = Hit("p1", title, "The author of Dusk was born in Velmar.")

    async def search(self, query: str, k: int) -> list[Hit]:
        return [self.hit]


@pytest.mark.parametrize(
    ("title", "why"), [("Ada Mell", ""), ("Ada\u00a0Mell", "search does not find a passage of its chain")]
)
def test_a_title_that_the_expert_would_not_match_counts_as_not_found(title: str, why: str) -> None:
    plan = Plan("q", (Hop("author of Dusk", "t", "Ada Mell", "f.", ("Velmar",)),), "t", "{0}")
    assert asyncio.run(why_not_found(plan, OneHit(title), compose([]).agent)) == why


def test_of_several_texts_of_a_title_the_one_that_states_the_value_is_selected() -> None:
    plan = Plan(
        "Where was the author of Dusk born?", (Hop("author of Dusk", "t", "Ada Mell", "f.", ("Velmar",)),), "t", "{0}"
    )
    items = [
        ResultItem(1, "Ada Mell", "Ada Mell sold Dusk."),
        ResultItem(2, "Ada Mell", "Ada Mell was born in Velmar."),
    ]
    state = parse_state(render_state("summarise", plan.question, (), results=items))
    chosen = right_action(state, plan)
    assert isinstance(chosen, LinkSelection) and chosen.selected_link_ids == (2,)
    nothing = right_action(parse_state(render_state("summarise", plan.question, (), results=items[:1])), plan)
    assert isinstance(nothing, LinkSelection) and nothing.selected_link_ids == ()


def test_with_too_few_searches_plans_of_the_built_in_world_are_left_out(tmp_path: Path) -> None:
    settings = compose(["agent.max_searches=1", f"output={tmp_path}", "world.train=2", "world.evaluation=2"])
    parts = Parts(settings, RunFolder(tmp_path / "x"))
    left_out = asyncio.run(parts.left_out_demonstrations())
    long = [plan for plan in parts.question_sets.demonstrated.plans.values() if len(plan.hops) > 1]
    assert len(left_out) >= 1 and len(long) >= len(left_out)
    assert set(left_out.values()) == {"it needs more searches than agent.max_searches"}


def test_no_demonstration_at_all_is_refused(tmp_path: Path) -> None:
    ready(tmp_path)
    write_jsonl(tmp_path / "shown.jsonl", {"id": "a", "question": "Which one is it?", "answers": ["Velmar"]})
    with pytest.raises(ConfigError) as refused:
        write_ids(loop(tmp_path))
    assert refused.value.problems == (
        (
            "demonstrations: no question can be demonstrated (1: it has no chain); raise agent.max_searches, or give "
            "rows whose chains (`evidence` or `decomposition`) the search can follow, or start=prompted"
        ),
    )
    write_ids(loop(tmp_path, "start=prompted"))


def test_a_chain_in_grow_reaches_neither_grow_nor_improve(tmp_path: Path) -> None:
    made = loop(ready(tmp_path))
    improvising = ScriptedLLM({}, seed=0, right=1, wrong=0, unparsable=0, empty=0)
    write_ids(made)
    asyncio.run(made.run_grow(1, improvising, ModelRef("tiny", "base", tuned=True)))
    asyncio.run(made.run_improve(1))
    assert trajectories(tmp_path, 1)["g"].outcome == "finished"
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"trajectories.jsonl", "examples.jsonl", "rankings.jsonl"}
    assert [path for path in written if b"xyzzy" in path.read_bytes()] == []


def test_demonstrations_may_not_be_among_the_questions_of_grow_or_of_a_benchmark(tmp_path: Path) -> None:
    ready(tmp_path)
    write_jsonl(tmp_path / "grown.jsonl", {"id": "g", "question": SHOWN["comparison"][0], "answers": ["Ada Mell"]})
    with pytest.raises(ConfigError) as refused:
        loop(tmp_path)
    told = str(refused.value)
    for path in ("grow.questions", "evaluate.benchmarks.local"):
        assert f"equal questions of {path}, e.g. 'Who was born first" in told
        assert f"demonstrations.questions.part=[0,0.3] {path}.part=[0.3,1]" in told

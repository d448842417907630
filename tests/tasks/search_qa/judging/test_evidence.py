"""The evidence of a trajectory: what was searched, shown and selected."""

from rest_react.records import Candidate, Hit, Step, Trajectory, Usage
from rest_react.tasks.search_qa.actions import Action, Answer, LinkSelection, Search, Terminate, render_output
from rest_react.tasks.search_qa.judging.evidence import evidence_of, passages_selected
from rest_react.tasks.search_qa.step import parse_step
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory

ASKED = "In which town was the teacher of Ada Mell born?"
ADA, IDA, BOB = Hit("p1", "Ada Mell", "Bob Lin taught her."), Hit("p2", "Ida Mell", "-"), Hit("p3", "Bob Lin", "Vell.")


def step(kind: str, action: Action, *hits: Hit, first_link: int = 0) -> Step:
    candidate = Candidate(render_output(action).removesuffix("  # [END]"), 5, -5.0, "stop")
    return Step(kind, "s", (candidate,), 0, hits=hits, first_link=first_link)


def test_results_count_once_and_only_the_chosen_sample_selects() -> None:
    answer = "The teacher is Bob Lin [link_id=1]. Bob Lin was born in Vell [link_id=4]."
    steps = (
        step("decide", Search("teacher of Ada Mell", "t")),
        step("summarise", LinkSelection("Bob Lin [link_id=1].", "t", (1,)), ADA, IDA, first_link=1),
        step("decide", Search("Bob Lin born", "t")),
        step("summarise", LinkSelection("Vell [link_id=4].", "t", (3, 4)), ADA, BOB, first_link=3),
        Step("decide", "s", (), None, forced=True),
        step("answer", Answer("t", answer)),
    )
    whole = Trajectory("q.0", "q", ASKED, "finished", None, steps, answer, answer, Usage())
    assert evidence_of(ParsedTrajectory(whole, tuple(map(parse_step, steps)))) == Evidence(
        ASKED,
        answer,
        "Vell",
        ("teacher of Ada Mell", "Bob Lin born"),
        (ADA, BOB),
        (ADA, IDA, BOB),
        ((1, ADA), (4, BOB)),
    )
    for written in ("[link_id=1, 4]", "[link_id=1, link_id=4]", "(link_id=1) [link_id=4]"):
        merged = Trajectory("q.0", "q", ASKED, "finished", None, steps, answer, f"Bob, Vell {written}.", Usage())
        assert evidence_of(ParsedTrajectory(merged, tuple(map(parse_step, steps)))).cited == ((1, ADA), (4, BOB))
    ended = (step("decide", Terminate("t")),)
    whole = Trajectory("q.0", "q", ASKED, "finished", None, ended, "", "", Usage())
    assert evidence_of(ParsedTrajectory(whole, tuple(map(parse_step, ended)))) == Evidence(ASKED, "", "")


def test_two_texts_of_one_source_are_two_results() -> None:
    first, second = (
        Hit("https://x/ada", "Ada", "She was born in Vell."),
        Hit("https://x/ada", "Ada", "She wrote novels."),
    )
    steps = (
        step("summarise", LinkSelection("s", "t", (1,)), first, first_link=1),
        step("summarise", LinkSelection("s", "t", (2,)), second, first_link=2),
    )
    whole = Trajectory("q.0", "q", ASKED, "finished", None, steps, "", "", Usage())
    found = evidence_of(ParsedTrajectory(whole, tuple(map(parse_step, steps))))
    assert (found.selected, found.retrieved) == ((first, second), (first, second))


def test_two_texts_of_one_source_are_one_passage() -> None:
    first, second = Hit("p1", "Ada Mell", "Bob Lin taught her."), Hit("p1", "Ada Mell", "She was born in Vell.")
    assert passages_selected(Evidence(ASKED, "Vell.", "Vell", (), (first, second))) == 1
    assert passages_selected(Evidence(ASKED, "Vell.", "Vell", (), (first, second, BOB))) == 2

"""report.html in a real browser: headless Chromium, where there is one."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.records import Candidate, Fault, Hit, Ranking, Result, Step, Trajectory
from rest_react.report import write_report
from rest_react.reporting.packing import LARGEST, pack
from rest_react.reporting.page import fill
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.search_qa.actions import StepKind
from rest_react.tasks.search_qa.task import SearchQA
from tests.runs import result, scripted_run, trajectory, write_evaluation, write_lines

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page was not opened")
MANY = 10_000
ATTACK = (
    "</script><script>window.attacked = 1</script><img src=x onerror='window.attacked = 2'>"
    "<a href='javascript:window.attacked = 3'>link</a>{{ 7 * 7 }}"
    "\u202egnitide\u202c\x07\x00\u2028\u061c\u200b\U000e0041"
)
SIZES = {"desktop": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Made before the browser is started, whose event loop would be in the way of `asyncio.run`."""
    folder = tmp_path_factory.mktemp("runs")
    scripted_run(folder / "scripted")
    hostile_run(folder / "hostile")
    for name in ("scripted", "hostile"):
        write_report(folder / name, smoke=False)
    return folder


@pytest.fixture(scope="module")
def chromium(runs):
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox does not start for root, as in most containers.
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a page and, at the end, asserts that it asked for nothing else and left the console empty."""
    told, asked, contexts = [], [], []

    def opened(run: Path, fragment: str = "", size: str = "desktop", scheme: str = "light"):
        contexts.append(chromium.new_context(viewport=SIZES[size], color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)  # a busy machine is no defect of the page
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{run}/report.html{fragment}")
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    pages = {f"file://{name}" for name in (url.removeprefix("file://").split("#")[0] for url in asked)}
    for context in contexts:
        context.close()
    assert told == []
    assert {Path(url).name for url in pages} <= {"report.html"}


def hostile_run(folder: Path) -> None:
    """Every text that a model, the web or a question set brings is an attack, or a megabyte."""
    stages = []
    for k in (0, 1):
        results = [
            result("a", answer=ATTACK, reason=ATTACK, kind=ATTACK),
            result("b", fault=Fault("model", ATTACK), kind=ATTACK),
            result("c", answer="A" * 1_000_000),
        ]
        stages.append(write_evaluation(folder, k, results))
        hit_link = "javascript:window.attacked = 4"
        trajectories = [
            trajectory("a", ATTACK, ATTACK, source=hit_link),
            replace(trajectory("b", "", ATTACK), outcome="failed", fault=results[1].fault),
            trajectory("c", "A" * 1_000_000, "Q" * 1_000_000),
        ]
        write_lines(stages[-1] / "trajectories.jsonl", trajectories)
    grown = folder / "iter_1"
    candidates = (Candidate(ATTACK, 9, -1.0, "stop", ATTACK), Candidate("Terminate(thoughts='x')", 3, -9.0, "stop"))
    grown_one = trajectory("g", ATTACK, ATTACK)
    grown_one = replace(grown_one, steps=(Step("decide", ATTACK, candidates, 1), *grown_one.steps[1:]))
    write_lines(grown / "grow/trajectories.jsonl", [grown_one])
    words = {"order": (1, 0), "reply": ATTACK, "good": False, "good_reply": ATTACK}
    write_lines(grown / "improve/rankings.jsonl", [Ranking("g.0.0", "decide", "reward_model", "ranked", 1, **words)])
    summary = {"schema": 1, "faults": {ATTACK: 1}, "seconds": 1.0, "files": {}}
    for name in ("grow", "improve"):
        (grown / name / "summary.json").write_text(json.dumps(summary))


def test_screenshots_are_taken_in_both_sizes_and_colour_schemes(runs, tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "screenshots.py"
    command = [sys.executable, script, runs / "hostile/report.html", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"pictures: {tmp_path}\n"), done.stderr
    taken = {f"{size}-{scheme}{what}" for size in SIZES for scheme in ("light", "dark") for what in ("", "-trajectory")}
    assert {path.stem for path in tmp_path.glob("*.png")} == taken


def texts(page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def choose(page, name: str, value: str) -> list[str]:
    """Sets one filter; the keys of what is left, once the list is drawn again."""
    page.select_option(f"#filter-{name}", value=value)
    return listed(page)


def listed(page) -> list[str]:
    page.evaluate("filter()")  # what typing does a moment later
    return page.eval_on_selector_all("#list button", "buttons => buttons.map((button) => button.dataset.key)")


def results_of(run: Path, k: int) -> dict[str, Result]:
    return {r.id: r for r in read_lines(run / f"iter_{k}/evaluate/world/results.jsonl", Result)}


def right(r: Result) -> bool:
    return r.fault is None and r.verdict.verdict == "correct"


def test_filters_show_the_matching_trajectories(runs, open_page):
    run = runs / "scripted"
    page = open_page(run)
    assert page.inner_text("#count") == "44 of 44"
    first, last = results_of(run, 0), results_of(run, 1)
    assert choose(page, "stage", "world") == [f"iter_{k}/world/{i}" for k, own in ((1, last), (0, first)) for i in own]
    assert choose(page, "iteration", "1") == [f"iter_1/world/{i}" for i in last]
    assert choose(page, "outcome", "correct") == [f"iter_1/world/{i}" for i, r in last.items() if right(r)]
    improved = [f"iter_1/world/{i}" for i, r in last.items() if right(r) and not right(first[i])]
    assert improved
    assert choose(page, "change", "right") == improved
    choose(page, "outcome", "")
    worse = [f"iter_1/world/{i}" for i, r in last.items() if not right(r) and right(first[i])]
    assert choose(page, "change", "wrong") == worse
    choose(page, "change", "")
    kind = next(iter(last.values())).kind
    assert choose(page, "kind", kind) == [f"iter_1/world/{i}" for i, r in last.items() if r.kind == kind]
    for name in ("kind", "iteration", "stage"):
        choose(page, name, "")
    failed = [
        f"iter_{k}/{stage.rpartition('/')[2]}/{t.id}"
        for k in (1, 0)
        for stage in ("evaluate/world", "grow")
        for t in read_lines(run / f"iter_{k}" / stage / "trajectories.jsonl", Trajectory)
        if t.fault
    ]
    assert choose(page, "fault", "no usable sample") == failed


def test_the_search_finds_words_of_question_answer_and_fault(runs, open_page):
    run = runs / "scripted"
    page = open_page(run)
    stored = list(read_lines(run / "iter_1/grow/trajectories.jsonl", Trajectory))
    wanted = next(t for t in stored if t.outcome == "finished")
    page.fill("#words", f"{wanted.question.upper()} train")
    assert f"iter_1/grow/{wanted.id}" in listed(page)
    page.fill("#words", f"{wanted.answer[:60]} finished")
    assert f"iter_1/grow/{wanted.id}" in listed(page)
    page.fill("#words", "usable failed")
    assert len(listed(page)) == len(choose(page, "fault", "no usable sample"))
    page.fill("#words", "nothing says this")
    assert listed(page) == []
    assert page.inner_text("#count") == "0 of 44"


def test_a_trajectory_is_shown_as_a_conversation(runs, open_page):
    run = runs / "scripted"
    page = open_page(run)
    stored = list(read_lines(run / "iter_1/grow/trajectories.jsonl", Trajectory))
    trajectory = next(t for t in stored if t.outcome == "finished" and t.usage.searches > 1)
    choose(page, "stage", "grow")
    page.click(f'#list button[data-key="iter_1/grow/{trajectory.id}"]')
    page.wait_for_selector("#trajectory .step")
    assert page.inner_text("#trajectory h3") == trajectory.question
    assert page.locator("#trajectory .step").count() == len(trajectory.steps)
    hits = [hit for step in trajectory.steps for hit in step.hits]
    assert texts(page, "#trajectory .hits strong") == [hit.title for hit in hits]
    assert page.locator("#trajectory .hits .kept").count() > 0
    assert texts(page, "#trajectory q")
    assert page.inner_text("#trajectory .final blockquote") == trajectory.answer
    assert "null" not in page.inner_text("#trajectory").split()
    first = page.locator("#trajectory .step").first
    first.locator("details").first.locator("summary").click()
    shown = first.locator(".candidates li")
    shown.first.wait_for()  # a toggled element is filled a moment after the click
    distinct = {c.text for c in trajectory.steps[0].candidates}
    assert shown.count() == len(distinct)
    assert set(texts(page, "#trajectory .step:first-child .candidates pre")) == distinct
    chips = texts(page, "#trajectory .step:first-child .candidates .chip")
    assert chips.count("chosen in the rollout") == chips.count("training target") == 1
    assert "perplexity chose sample" in first.inner_text()


def test_every_state_is_shown_exactly_as_the_model_saw_it(runs, open_page):
    run = runs / "scripted"
    page = open_page(run)
    states = page.evaluate(
        """async () => Object.fromEntries(await Promise.all(keys.map(async (key, i) => {
             const trajectory = await trajectoryAt(i);
             return [key, statesOf(trajectory)];
           })))"""
    )
    expected = {
        f"iter_{k}/{stage.rpartition('/')[2]}/{t.id}": [step.state for step in t.steps]
        for k in (0, 1)
        for stage in ("evaluate/world", "grow")
        for t in read_lines(run / f"iter_{k}" / stage / "trajectories.jsonl", Trajectory)
    }
    assert states == expected
    assert sum(map(len, expected.values())) > 200


def test_two_iterations_of_a_question_are_shown_side_by_side(runs, open_page):
    run = runs / "scripted"
    page = open_page(run)
    (key, *_) = choose(page, "change", "right")
    page.click(f'#list button[data-key="{key}"]')
    page.wait_for_selector("#beside")
    before = key.replace("iter_1", "iter_0")
    page.select_option("#beside", value=before)
    page.wait_for_selector(".columns")
    now, then = page.locator(".columns .trajectory").all()
    assert now.bounding_box()["y"] == then.bounding_box()["y"]
    id_ = key.rpartition("/")[2]
    answers = [results_of(run, k)[id_].answer or "(no answer)" for k in (1, 0)]
    assert [trajectory.locator(".final blockquote").inner_text() for trajectory in (now, then)] == answers
    assert now.locator(".facts .chip").all_inner_texts() == ["correct", "became correct"]
    page.go_back()
    page.wait_for_selector(".columns", state="detached")
    page.goto(f"file://{run}/report.html#trajectory={key}&with={before}")
    page.wait_for_selector(".columns")


def test_the_page_can_be_used_with_the_keyboard_only(runs, open_page):
    page = open_page(runs / "scripted")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.type("the")
    page.wait_for_timeout(500)  # the list is drawn anew a moment after the last letter
    keys = listed(page)
    page.focus("#filter-change")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.key") == keys[1]
    page.keyboard.press("Enter")
    page.wait_for_selector("#trajectory .step")
    assert page.evaluate("document.activeElement.id") == "trajectory"
    page.keyboard.press("Escape")
    page.wait_for_selector("#trajectory .step", state="detached")
    assert page.evaluate("document.activeElement.dataset.key") == keys[1]


def test_text_from_models_and_the_web_is_not_markup(runs, open_page):
    page = open_page(runs / "hostile")
    keys = listed(page)
    assert len(keys) == 7
    for key in keys:
        page.click(f'#list button[data-key="{key}"]')
        page.wait_for_selector("#trajectory .step")
        for _ in range(2):  # those inside what the first round opened, too
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            page.wait_for_timeout(50)
        assert (
            page.evaluate(
                "document.querySelectorAll('#trajectory a, #trajectory img, #trajectory script, iframe').length"
            )
            == 0
        )
        seen = page.inner_text("body")
        assert not set(seen) & set("\u202e\u202c\x07\x00\u2028\u061c\u200b\U000e0041")
        if not key.endswith("c.0"):
            assert "<script>window.attacked = 1</script><img src=x onerror=" in seen
    assert page.evaluate("window.attacked") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 4  # index, one block, two scripts
    hit = page.locator("#list button", has_text="a.0").first
    hit.click()
    assert "javascript:window.attacked = 4" in page.inner_text("#trajectory")


def test_a_very_long_text_is_shortened_and_the_page_names_the_full_file(runs, open_page):
    page = open_page(runs / "hostile", "#trajectory=iter_1%2Fworld%2Fc.0")
    page.wait_for_selector("#trajectory .final")
    assert "(1,000,000 characters)" in page.inner_text("#trajectory .final")
    assert "are in iter_1/world" in page.inner_text("#trajectory")


@pytest.mark.parametrize(
    "fragment", ["#trajectory=<script>", "#trajectory=iter_9/x&with=%00", "#%E0%A4%A", "#trajectories"]
)
def test_an_address_of_an_unknown_trajectory_opens_nothing(runs, open_page, fragment):
    page = open_page(runs / "scripted", fragment)
    assert page.locator("#trajectory .step").count() == 0
    assert page.inner_text("#count") == "44 of 44"


def test_the_content_security_policy_blocks_foreign_scripts(runs, chromium):
    """The content security policy, should all else fail."""
    page = chromium.new_page()
    page.goto(f"file://{runs}/scripted/report.html")
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(
        """() => { const script = document.createElement("script");
                   try { script.textContent = "window.attacked = 1"; } catch { window.refused = true; }
                   document.body.append(script);
                   const image = document.createElement("img");
                   image.src = "https://example.org/x.png"; document.body.append(image); }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.attacked") is None
    assert any("Content Security Policy" in text for text in said)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_list_or_the_trajectory_without_horizontal_scrolling(runs, open_page, scheme):
    page = open_page(runs / "scripted", size="phone", scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#list button").first.click()
    page.wait_for_selector("#trajectory .step")
    assert not page.is_visible("#list")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("text=Back to the list")
    assert page.is_visible("#list")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")


def test_a_page_without_all_samples_has_a_note_and_shows_how_many_samples_each_step_had(runs, open_page, tmp_path):
    everything = pack(runs / "scripted", SearchQA())
    packed = pack(runs / "scripted", SearchQA(), largest=int(0.9 * everything.size))
    assert 0 < packed.whole < packed.trajectories == 44
    rest = dict.fromkeys(("notes", "stages", "benchmarks", "curves"), ())
    scripts = ("browser.js", "conversation.js")
    html = fill("report.html.j2", scripts=scripts, title="Run", smoke=False, settings="", packed=packed, **rest)
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    page = open_page(tmp_path)
    (note,) = texts(page, "#trajectories > .note")
    assert f"{packed.whole} of 44 trajectories" in note
    kept = page.evaluate(
        "() => Promise.all(keys.map(async (key, i) => (await trajectoryAt(i)).steps[0].candidates.length))"
    )
    assert set(kept) == {1, 3}
    for count, label in ((1, "1 of 3 samples kept"), (3, "3 samples, ")):
        page.locator("#list button").nth(kept.index(count)).click()
        page.wait_for_selector(f"#trajectory .step:first-child summary:has-text('{label}')")
    assert texts(open_page(runs / "scripted"), "#trajectories > .note") == []


def long_trajectories(ids: list[str]) -> Iterator[Trajectory]:
    """Of 8 or 10 steps of four samples, which differ as a model's do, in a few of their few hundred characters."""
    draw = random.Random(7)
    words = ["".join(draw.choices("etaoinshrdlucmfwygp", k=draw.randint(2, 9))) for _ in range(2_000)]
    # So many sentences as bring the page near its limit: fewer repeat themselves more, and deflate to less.
    sentences = [" ".join(draw.choices(words, k=14)) for _ in range(150)]

    def said(n: int = 1) -> str:
        return ". ".join(draw.choices(sentences, k=n))

    def step(kind: StepKind, action: str, hits: tuple[Hit, ...] = ()) -> Step:
        begun, ends = f'ACTION_SELECTED = ActionWrapper(thoughts="{said(2)}', (said(), said())
        written = [f'{begun}. {draw.choice(ends)}", action={action})' for _ in range(4)]
        samples = tuple(Candidate(text, 90, -draw.randrange(600) / 10, "stop") for text in written)
        return Step(kind, "...", samples, draw.randrange(4), hits=hits, first_link=1)

    for n, id_ in enumerate(ids):
        steps = []
        for _ in range(2 + n % 2):
            steps.append(step("decide", f'Search(query="{said()}")'))
            hits = tuple(Hit(f"p{draw.randrange(300)}", said()[:30], said()) for _ in range(2))
            kept = f'LinkSelection(selected_link_ids=[1], grounded_summarization="{said()}")'
            steps.append(step("summarise", kept, hits))
        steps += [step("decide", "Terminate()"), step("answer", f'Answer(answer="{said()}")')]
        steps += [step(kind, "CheckAnswer(passed=True)") for kind in ("relevance", "grounding")]
        yield replace(trajectory(id_, f"Answer {id_}.", f"Question {id_}?"), steps=tuple(steps))


@pytest.mark.slow
def test_a_page_with_ten_thousand_trajectories_needs_less_than_three_seconds_of_cpu(chromium, tmp_path):
    ids = [f"w{i:04}" for i in range(MANY)]
    verdicts = ("correct", "incorrect")
    stage = write_evaluation(tmp_path, 0, [result(i, verdict=verdicts[n % 2]) for n, i in enumerate(ids)])
    write_lines(stage / "trajectories.jsonl", long_trajectories(ids))
    _, report = write_report(tmp_path, smoke=False)
    assert 0.8 * LARGEST < report.stat().st_size < LARGEST
    session = chromium.new_browser_cdp_session()

    def worked() -> dict[int, float]:
        """CPU seconds of each of Chromium's processes: other than wall time, the same on a busy machine."""
        told = session.send("SystemInfo.getProcessInfo")["processInfo"]
        return {process["id"]: process["cpuTime"] for process in told}

    before = worked()
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"file://{report}")
    page.wait_for_selector("#count:text-is('10,000 of 10,000')")
    page.fill("#words", "question w0777")
    page.wait_for_selector("#count:text-is('1 of 10,000')")
    page.click("#list button")
    page.wait_for_selector("#trajectory .final")
    seconds = sum(time - before.get(process, 0) for process, time in worked().items())
    assert "Answer w0777." in page.inner_text("#trajectory .final")
    assert page.locator("#trajectory .step").count() == 10
    assert "4 samples" in page.locator("#trajectory .step").first.inner_text()
    assert 0 < seconds < 3
    page.close()

"""Question sets that a run may not use, or that its policy, search engine or rules cannot work with.

    grow.questions: bamtwoogle is for testing only; use another question set in Grow

Not here: reading them (questions), and overlap between them, which needs their rows (questions.overlaps.overlap).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rest_react.config.settings import Questions, Settings
from rest_react.search.pages import missing_package

# Question sets that their authors published for testing only, by a part of their names.
TEST_ONLY = ("bamtwoogle",)


def grown_sets(s: Settings) -> dict[str, Questions]:
    """The question sets of Grow, by their settings' name."""
    return {"grow.questions": s.grow.questions} | {f"grow.also.{name}": one for name, one in s.grow.also.items()}


def benchmark_sets(s: Settings) -> dict[str, Questions]:
    """The benchmarks, by their settings' name."""
    return {f"evaluate.benchmarks.{name}": one for name, one in s.evaluate.benchmarks.items()}


def asks_hub(s: Settings) -> bool:
    """Whether a question set is downloaded."""
    return any(source.kind == "hub" for source in (grown_sets(s) | benchmark_sets(s)).values())


def question_problems(s: Settings) -> Iterator[str]:
    """Question sets that may not be used, or that the policy or the search engine cannot work with."""
    grown = grown_sets(s)
    if s.demonstrations.questions is not None:
        grown["demonstrations.questions"] = s.demonstrations.questions
        if not s.task.demonstrates_rows:
            yield (
                f"demonstrations.questions: the expert of task={s.task.kind} knows only the built-in items; leave it "
                "out"
            )
        if s.demonstrations.questions.is_world:
            yield "demonstrations.questions: the built-in world's are demonstrated by default; leave it out"
    sources = grown | benchmark_sets(s)
    for path, source in grown.items():
        if _test_only(source.origin()):
            yield f"{path}: {source.origin()} is for testing only; use another question set in Grow"
    for name in s.grow.allow_overlap:
        if name in benchmarks_for_testing(s):
            yield f"grow.allow_overlap: {name} is for testing only; remove it, and use other questions in Grow"
    yield from dict.fromkeys(problem for path, source in sources.items() for problem in _missing_files(path, source, s))
    yield from _unread_data(s, [file for source in sources.values() for _, file in source.files()])
    if s.policy.runs == "script":
        for path, source in sources.items():
            if not source.is_world and path != "demonstrations.questions":
                yield (
                    f"{path}: policy={s.policy.kind} can answer only built-in questions; leave this question set out, "
                    "or choose another policy, such as policy=smollm2"
                )
    if not s.task.searches:
        return
    if s.agent.read_pages and not s.search.gives_pages:
        yield f"agent.read_pages: the results of search={s.search.kind} are not web pages; set it to 0"
    elif s.agent.read_pages and (missing := missing_package()):
        yield f"agent.read_pages: {missing}"
    if lacking := s.search.lacks_world():
        worlds = [path for path, source in sources.items() if source.is_world and (s.iteration or path not in grown)]
        if worlds:
            yield f"{' and '.join(worlds)}: {lacking}"
    if s.search.wants_passages():
        for path, source in sources.items():
            if own := source.setting_of_passages(path):
                yield (
                    f"{path}: has no corpus, but search={s.search.kind} needs one; set {own}=<passages.jsonl> (or the "
                    "question file itself if its rows contain contexts), or use experiment=web"
                )


def verifier_problems(s: Settings) -> Iterator[str]:
    """`verified` with a task that has no verifier, or with questions for which its rules are not valid."""
    grown = grown_sets(s)
    asked = grown | benchmark_sets(s)
    for path, chosen, sources, other in (
        ("agent.select", s.agent.select, asked, "perplexity"),
        ("improve.selector", s.improve.selector, grown, "perplexity"),
        ("improve.keep", s.improve.keep, grown, "all"),
    ):
        others = [name for name, source in sources.items() if not source.is_world]
        if chosen != "verified" or (s.task.verifies == "all" and path != "agent.select"):
            continue
        if s.task.verifies == "none":
            yield f"{path}: task={s.task.kind} has no verifier; set {path}={other}"
        elif not s.task.searches:
            yield (
                f"{path}: task={s.task.kind} has rules for training data only, not for choosing samples in Grow; set "
                f"{path}={other} improve.keep=verified"
            )
        elif others:
            yield (
                f"{path}: the rules of `verified` are valid only for questions of the built-in world; they would "
                f"reject most correct answers of {' and '.join(others)}; set {path}={other}"
            )


def benchmarks_for_testing(s: Settings) -> set[str]:
    """The names in `evaluate.benchmarks` of the sets that Grow must not use, whatever the settings."""
    return {name for name, source in s.evaluate.benchmarks.items() if _test_only(name) or _test_only(source.origin())}


def _test_only(name: str) -> bool:
    return any(word in name.casefold() for word in TEST_ONLY)


def _absent_folder(file: str, s: Settings) -> str:
    """What is wrong with `data` or `evaluate_data` if the file lies there and the folder does not exist."""
    for name, folder in (("data", s.data), ("evaluate_data", s.evaluate_data)):
        if folder and file.startswith(f"{folder}/") and not Path(folder).is_dir():
            return f"{name}: there is no folder {folder}; check the path"
    return ""


def _unread_data(s: Settings, files: Sequence[str | Path]) -> Iterator[str]:
    """`data` or `evaluate_data` of which no question set reads a file: the experiment that does is missing."""
    for name, folder in {"data": s.data, "evaluate_data": s.evaluate_data}.items():
        if folder is None or (name == "evaluate_data" and folder == s.data):
            continue
        if not any(Path(folder) in (Path(file), *Path(file).parents) for file in files):
            yield (
                f"{name}: no question set reads it; add experiment=local_corpus (questions with a corpus) or "
                "experiment=classify (labelled texts), or leave it out"
            )


def _missing_files(path: str, source: Questions, s: Settings) -> Iterator[str]:
    needed = next((name for name in ("data", "evaluate_data") if getattr(s, name) is None), None)
    for name, file in source.files():
        if f"{file}/".startswith("None/") and needed:  # what `${data}/...` makes of null
            named = "train and validation files" if source.kind == "items" else "questions.jsonl and corpus.jsonl"
            yield f"{needed}: is not set; give {needed}=<folder with {named}>"
        elif absent := _absent_folder(file, s):
            yield absent
        elif not Path(file).is_file():
            yield f"{path}.{name}: there is no file {file}; check the path"

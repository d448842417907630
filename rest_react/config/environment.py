"""What a run records about its environment.

    environment(prompts.digests())["torch"]          # '2.13.0+cpu'
    environment(prompts.digests())["commit"]         # '492ff2f9c1d0', or '492ff2f9c1d0, with changes'
    number_types(settings)                           # {"number_type_policy": "bfloat16", ...}: those of this machine

Not here: where it is kept (storage.settings_file).
"""

import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rest_react.config.checks.needs import parts_of_all_iterations
from rest_react.config.settings import Settings
from rest_react.weights.number_type import compute_type_here

PACKAGES = (
    "hydra-core",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "openai",
    "google-genai",
    "ddgs",
    "bm25s",
)


def environment(prompts: Mapping[str, str]) -> dict[str, str]:
    """What a run records about its environment: the versions of packages that can change a result, the commit of this
    package, and the hashes of the prompts."""
    versions = {name: _version(name) for name in ("rest-react", *PACKAGES)}
    commit = commit_of(Path(__file__).resolve().parents[2])
    return {**prompts, "python": sys.version.split()[0], "commit": commit, **versions}


def number_types(s: Settings) -> dict[str, str]:
    """The types of number with which this machine computes, of each part that can compute with several: another
    machine may choose another one for `auto`."""
    return {
        f"number_type_{role.replace('.', '_')}": compute_type_here(part.dtype, device=getattr(part, "device", "auto"))
        for role, part in parts_of_all_iterations(s).items()
        if hasattr(part, "dtype")
    }


def commit_of(checkout: Path) -> str:
    """The first 12 digits of the commit, with a note if files of the package or of configs/ differ from it. An
    installed package has none: the folder that it is in may be a checkout of something else."""
    if not (checkout / ".git").exists():
        return "not a checkout"
    git = ["git", "-C", str(checkout)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
        changes = [*git, "diff", "--quiet", "HEAD", "--", "rest_react", "configs"]
        changed = subprocess.run(changes, capture_output=True, check=False).returncode
    except OSError:  # git is not installed, or cannot be run
        return "unknown"
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + (", with changes" if changed else "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

"""What a run records about its environment.

    environment(prompts.digest())["torch"]          # '2.13.0+cpu'

Not here: where it is kept (storage.settings_file).
"""

import importlib.metadata
import sys

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


def environment(prompts: str) -> dict[str, str]:
    """What a run records about its environment: the versions of packages that can change a result, and the hash of the
    prompts."""
    versions = {name: _version(name) for name in ("rest-react", *PACKAGES)}
    return {"prompts": prompts, "python": sys.version.split()[0], **versions}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

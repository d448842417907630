"""Where converted models and measurements are kept: `$REST_REACT_CACHE`, else `~/.cache/rest_react`.

    save_once(cache_folder() / "tiny-random-0f3c", lambda folder: model.save_pretrained(folder))

Each folder is written beside its place and renamed, so a folder that is there is complete.
Not here: cached replies of models and search engines (remote.cache).
"""

import os
from collections.abc import Callable
from pathlib import Path

from rest_react.storage.files import draft_folder, publish


def cache_folder() -> Path:
    """Where converted models and measurements are kept, by `REST_REACT_CACHE`."""
    return Path(os.environ.get("REST_REACT_CACHE") or "~/.cache/rest_react").expanduser()


def save_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Fills `folder` in one step. A process that comes second finds it filled and throws its own work away."""
    with draft_folder(folder.parent, f".{folder.name}.") as draft:
        write(draft)
        draft.chmod(0o755)
        publish(draft, folder)
    return folder

"""The folder for converted models and measurements: `$REST_REACT_CACHE`, else `~/.cache/rest_react`.

    save_once(cache_folder() / "tiny-random-0f3c", lambda folder: model.save_pretrained(folder))

Each folder is written under a temporary name and then renamed, so a folder with its final name is complete.
Not here: cached replies of models and search engines (remote.cache).
"""

import os
from collections.abc import Callable
from pathlib import Path

from rest_react.storage.files import draft_folder, publish


def cache_folder() -> Path:
    """The folder for converted models and measurements; `REST_REACT_CACHE` sets it."""
    return Path(os.environ.get("REST_REACT_CACHE") or "~/.cache/rest_react").expanduser()


def save_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Calls `write` on a draft folder and renames it to `folder`. If another process was faster, its folder is kept."""
    with draft_folder(folder.parent, f".{folder.name}.") as draft:
        write(draft)
        draft.chmod(0o755)
        publish(draft, folder)
    return folder

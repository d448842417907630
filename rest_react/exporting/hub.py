"""Uploads an export or a trained model to the Hugging Face Hub, with its card.

    upload(Path("data"), "me/trajectories", kind="dataset", private=True)     # https://huggingface.co/datasets/me/...

The token is the one of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another Hub. A repository is made if there is
none, private unless asked otherwise. The same upload again adds a commit only if a file differs;
files of an earlier export that the new one does not have are deleted there.
Not here: the files and their card (export, exporting.card, reporting.cards).
"""

import os
from pathlib import Path
from typing import Literal

from rest_react.errors import OutsideFault, UsageError, outside

# Files of an earlier export that this one does not have, perhaps with gold answers, would stay under its card.
_OF_AN_EXPORT = ["data.jsonl", "export.json", "sessions/**"]


def upload(folder: Path, repo: str, *, kind: Literal["dataset", "model"], private: bool) -> str:
    """Uploads the files of a folder. Returns the address of the repository. Raises UsageError if the Hub refuses the
    token or the name, OutsideFault for any other failure."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        with outside(f"{repo} on the Hub"):
            url = api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
            if private and not api.repo_info(repo, repo_type=kind).private:
                raise UsageError(f"hub={repo}: it is public; add private=false, or choose another repository")
            api.upload_folder(
                repo_id=repo, repo_type=kind, folder_path=folder, commit_message=f"Upload {kind} with rest_react",
                delete_patterns=_OF_AN_EXPORT if kind == "dataset" else None,
            )  # fmt: skip
            return str(url)
    except OutsideFault as fault:
        cause = fault.__cause__
        status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
        if status in (401, 403) or isinstance(cause, LocalTokenNotFoundError):
            raise UsageError(
                f"hub={repo}: the Hub refuses the upload ({str(cause).strip().splitlines()[0]}); log in with "
                "`hf auth login` or set HF_TOKEN to a token that may write there"
            ) from fault
        if status in (400, 404, 422) or isinstance(cause, HFValidationError):
            told = str(cause).strip().splitlines()[0]
            raise UsageError(f"hub={repo}: the Hub refuses this repository ({told}); check the name") from fault
        raise

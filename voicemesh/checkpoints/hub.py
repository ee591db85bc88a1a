"""Bundles on the Hugging Face Hub: found in the local cache first, then fetched."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

NAME = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")
PATTERNS = ["*.json", "*.safetensors"]  # all that a bundle and its gallery consist of


def is_name(where: str) -> bool:
    """Whether this is `owner/name` or `owner/name@revision`."""
    return NAME.fullmatch(where) is not None


def snapshot(where: str, complete: Callable[[Path], bool]) -> Path:
    """The local folder of a repository; nothing is asked of the network if the cache has it.

    Args:
        where: `owner/name`, or with `@revision`: a branch, a tag or a commit.
        complete: tells whether a cached folder holds all that is needed.

    Raises:
        ValueError: the name is none, or the repository can be neither found nor reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    name = NAME.fullmatch(where)
    if name is None:
        raise ValueError(f"{where!r} is no Hub name like owner/name or owner/name@revision")
    place = {"repo_id": name["repo"], "revision": name["revision"], "allow_patterns": PATTERNS}
    try:
        cached = Path(snapshot_download(**place, local_files_only=True))
        if complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass  # never fetched before
    log.info("Fetching %s from the Hugging Face Hub", where)
    try:
        return Path(snapshot_download(**place))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ValueError(
            f"There is no folder {where}; as a repository it is not in the local cache and the "
            "Hugging Face Hub cannot be reached: go online once to fetch it, or give a folder"
        ) from error
    except HfHubHTTPError as error:
        raise ValueError(
            f"There is no folder {where}, and as a repository it cannot be fetched from the "
            f"Hugging Face Hub: {error}"
        ) from error

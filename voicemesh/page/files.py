"""Files of a visitor: written where Gradio may serve them, gone after a while."""

import shutil
import tempfile
import time
from pathlib import Path

from voicemesh.pipeline import Portrait

KEEP = 1800  # seconds that uploads and results stay on the disk
FILES = {"glb": "3D, GLB", "obj": "3D, OBJ", "ply": "3D, PLY", "png": "Picture", "json": "Report"}


def save(portrait: Portrait, root: Path) -> list[str]:
    """The files of a portrait in a fresh folder under `root`, in the order of `FILES`.

    There are no others: Gradio removes in time what it offers, and nothing else.
    """
    paths = portrait.save(fresh(root))
    for kind in paths.keys() - FILES.keys():
        paths[kind].unlink(missing_ok=True)
    return [str(paths[kind]) for kind in FILES]


def fresh(root: Path) -> Path:
    """A new folder under `root`, whose old ones are removed."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > KEEP:
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=root))

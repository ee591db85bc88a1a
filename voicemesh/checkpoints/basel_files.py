"""The published files of Basel-style face models: the model, its triangles, its landmarks."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Integer, Shaped

from voicemesh.mesh import basel
from voicemesh.mesh.morphable import MorphableModel

from . import upstream
from .unpickle import MALFORMED, array_file, existing


def load_basel(
    path: str | Path,
    triangles: str | Path | None = None,
    landmarks: str | Path | None = None,
) -> MorphableModel:
    """A Basel-style face model whole: CMP's published file, or 3DDFA's bfm_noneck_v3.pkl.

    Args:
        path: 2D-to-3D-pretrained.tar, or a .pkl of arrays.
        triangles: tri.mat or tri.pkl; a .pkl model brings its own, yet tri.pkl replaces them.
        landmarks: keypoints_sim.npy; the published ones if none.
    """
    path = Path(path)
    corners = None if triangles is None else read_triangles(triangles)
    points = None if landmarks is None else read_landmarks(landmarks)
    if path.suffix != ".pkl":
        plain = upstream.load("cmp-face-model", path)
        assert isinstance(plain, MorphableModel)
        return basel.with_surface(plain, corners, points)
    arrays = array_file(path)
    keys = ("u", "w_shp", "w_exp", "tri", "keypoints")
    missing = [key for key in keys if not isinstance(arrays, dict) or key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)} of a 3DDFA face model")
    tensors = {key: torch.from_numpy(np.asarray(arrays[key], np.float32)) for key in keys[:3]}
    points = arrays["keypoints"] if points is None else points
    return basel.face_model(tensors, arrays["tri"] if corners is None else corners, points)


def read_triangles(path: str | Path) -> Integer[np.ndarray, "_ _"]:
    """0-based triangles of tri.mat (which counts from 1) or tri.pkl (from 0).

    Raises:
        ValueError: no such file, or one that holds anything else.
    """
    path = existing(path)
    if path.suffix != ".mat":
        corners, first = array_file(path), 0
    else:
        corners, first = mat_array(path, "tri"), 1
    corners = np.asarray(corners)
    if corners.ndim != 2 or 3 not in corners.shape or corners.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds no triangles: 3 vertices each are needed")
    return corners.astype(np.int64) - first


def mat_array(path: Path, name: str) -> Shaped[np.ndarray, "..."]:
    """One array of a Matlab file.

    Raises:
        ValueError: it is no such file, or has no array of this name.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(path, variable_names=[name])[name]
    except KeyError as error:
        raise ValueError(f"{path} holds no {name!r}") from error
    except (MatReadError, *MALFORMED) as error:
        raise ValueError(f"{path} cannot be read as a Matlab file: {error}") from error


def read_landmarks(path: str | Path) -> Integer[np.ndarray, " _"]:
    """The numbers of keypoints_sim.npy.

    Raises:
        ValueError: no such file, or one that holds anything but whole numbers.
    """
    try:
        numbers = np.load(existing(path), allow_pickle=False)
    except EOFError as error:
        raise ValueError(f"{path} holds no array: it is empty") from error
    except MALFORMED as error:
        raise ValueError(f"{path} cannot be read as landmarks: {error}") from error
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds no numbers of vertices")
    return numbers.ravel().astype(np.int64)

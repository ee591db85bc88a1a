"""The files of SF2F and of voice2face, found in one folder.

SF2F's authors published no weights; what is read is what their training leaves.
"""

from collections.abc import Mapping
from pathlib import Path

from .parts import (
    SF2F_FACENET,
    SF2F_GENERATOR,
    SF2F_VGGFACE,
    VOICE2FACE_GENERATOR,
    VOICE2FACE_VOICE,
)
from .published_files import Converted, first, tell_missing
from .unpickle import torch_file
from .upstream import build, entry, load

SYSTEM, TITLE = "sf2f", "SF2F, converted networks"
# The authors took the checkpoint of the best L1 for their pictures.
GENERATORS = (
    *("best_L1_with_model.pt", "best_*_with_model.pt", "checkpoint_with_model.pt"),
    *("epoch_*_model.pt", "*_model*.pt"),
)
FACENETS = (entry(SF2F_FACENET).file, "*vggface2.pt")
HALVES = ("vggface2_G5aNV2VSMn.pt", "vggface2_DG3kwML46X.pt")  # of features and of classes
VGGFACES = ("resnet50_ft_weight.pkl", "resnet50_ft_weights.pkl")

VOICE2FACE, VOICE2FACE_TITLE = "voice2face", "voice2face, published networks"
VOICE2FACE_PARTS = (VOICE2FACE_VOICE, VOICE2FACE_GENERATOR)


def find(folder: str | Path) -> dict[str, Converted]:
    """The parts that a folder of SF2F's files makes; only the generator has to be there.

    Raises:
        ValueError: there is no generator.
    """
    folder = Path(folder)
    generator = first(folder, GENERATORS)
    if generator is None:
        raise ValueError(
            f"{folder} holds no checkpoint of SF2F's training; put {GENERATORS[0]} there"
        )
    parts = {SF2F_GENERATOR: Converted(load(SF2F_GENERATOR, generator), (generator,))}
    if whole := first(folder, FACENETS):
        parts[SF2F_FACENET] = Converted(load(SF2F_FACENET, whole), (whole,))
    elif halves := [file for name in HALVES if (file := first(folder, (name,)))]:
        parts[SF2F_FACENET] = Converted(facenet(halves), tuple(halves))
    if judge := first(folder, VGGFACES):
        parts[SF2F_VGGFACE] = Converted(load(SF2F_VGGFACE, judge), (judge,))
    consequences = (
        (SF2F_FACENET, "no distances of faces and no retrieval are measured"),
        (SF2F_VGGFACE, "no VGGFace Score is measured"),
    )
    tell_missing(folder, parts, consequences)
    return parts


def facenet(files: list[Path]) -> object:
    """The face network of the two files that the authors' code fetches.

    Raises:
        ValueError: a file that holds no tensors by key.
    """
    tensors = {}
    for file in files:
        content = torch_file(file)
        if not isinstance(content, Mapping):
            raise ValueError(f"{file} does not hold the tensors of {SF2F_FACENET} by key")
        tensors |= content
    return build(SF2F_FACENET, tensors, " with ".join(map(str, files)))


def find_voice2face(folder: str | Path) -> dict[str, Converted]:
    """Both networks of voice2face.

    Raises:
        ValueError: one of them is not there.
    """
    folder, parts = Path(folder), {}
    for part in VOICE2FACE_PARTS:
        file = first(folder, (entry(part).file,))
        if file is None:
            raise ValueError(
                f"{folder} lacks {entry(part).file}, where voice2face keeps {part.split('-', 1)[1]}"
            )
        parts[part] = Converted(load(part, file), (file,))
    return parts

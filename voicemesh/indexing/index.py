"""A folder of faces and voices becomes a gallery, part by part; interrupted, it goes on."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from voicemesh import images
from voicemesh.audio import recording, vad
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.gallery.folder import FolderGallery
from voicemesh.gallery.media import picture_bytes, voice_bytes
from voicemesh.gallery.parts import NewEntry
from voicemesh.gallery.writer import GalleryWriter
from voicemesh.systems.association import VoiceFaceSpace
from voicemesh.systems.spaces import SYSTEMS, spaces_in

from .sources import Source

log = logging.getLogger(__name__)

PART = 256  # files that are written together
AT_ONCE = 16  # photographs that are held in memory


def spaces_of(
    bundle: Bundle, device: torch.device | str | None = None
) -> dict[str, VoiceFaceSpace]:
    """The association systems that a bundle has nets for; on a CUDA GPU if there is one.

    Raises:
        ValueError: none.
    """
    found = spaces_in(bundle, device)
    if not found:
        needed = "; or ".join(" and ".join(system.parts) for system in SYSTEMS.values())
        raise ValueError(
            f"The bundle {bundle.name!r} has no nets that compare voices and faces; "
            f"{needed} are needed"
        )
    return found


def nets_of(bundle: Bundle, spaces: Sequence[str]) -> dict[str, dict[str, str]]:
    """For every space the sha256 of its nets' files."""
    return {
        name: {part: bundle.part(part).sha256 for part in SYSTEMS[name].parts} for name in spaces
    }


def index(
    folder: Path,
    sources: Sequence[Source],
    out: Path,
    bundle: Bundle,
    device: torch.device | str | None = None,
    title: str = "",
    crops: bool = False,
) -> FolderGallery:
    """Embed files of a folder into a gallery, behind those that are in it already.

    Files that cannot be used do not stop it; `left_out` of the gallery's manifest names them. They
    are tried again the next time.

    Args:
        crops: the pictures are face crops already; else the largest face on each is looked for.

    Raises:
        ValueError: the bundle has no fitting nets, `out` holds something else, or no file at all
            could be used.
    """
    spaces = spaces_of(bundle, device)
    nets = nets_of(bundle, list(spaces))
    writer = GalleryWriter(out, out.name, nets, title)
    known = writer.before.files() if writer.before else set()
    new = [source for source in sources if source.file not in known]
    if known:
        log.info("%s: %d of %d files are there", out, len(sources) - len(new), len(sources))
    parts = [new[start : start + PART] for start in range(0, len(new), PART)]
    keys = [key_of(folder, part, [nets, crops]) for part in parts]
    done = sum(len(part) for part, key in zip(parts, keys, strict=True) if writer.has(key))
    with tqdm(total=len(new), initial=done, unit="file", desc=out.name, disable=None) as bar:
        for part, key in zip(parts, keys, strict=True):
            if not writer.has(key):
                entries, faults = embedded(folder, part, spaces, bar, crops)
                writer.add(key, entries, faults)
    faults = writer.faults(keys)
    if not known and len(faults) == len(new):
        first = next(iter(faults.values()))
        raise ValueError(f"None of the {len(new)} files in {folder} can be used: {first}")
    return writer.finish(keys)


def key_of(folder: Path, part: Sequence[Source], how: list) -> str:
    """A name for what a part is made of: its files as they are now, what is told of them, how."""
    told = []
    for source in part:
        path = folder / source.file
        state = path.stat() if path.is_file() else None
        told.append([repr(source), state and state.st_size, state and state.st_mtime_ns])
    return hashlib.sha256(json.dumps([told, how]).encode()).hexdigest()[:24]


def embedded(
    folder: Path,
    part: Sequence[Source],
    spaces: Mapping[str, VoiceFaceSpace],
    bar: tqdm,
    crops: bool,
) -> tuple[list[NewEntry], dict[str, str]]:
    """The entries of some files in their order, and those that cannot be used, with the reason."""
    found: dict[str, NewEntry] = {}
    faults: dict[str, str] = {}
    faces = [source for source in part if not source.is_voice]
    for start in range(0, len(faces), AT_ONCE):
        some = faces[start : start + AT_ONCE]
        found |= {e.file: e for e in face_entries(folder, some, spaces, faults, crops)}
        bar.update(len(some))
    for source in part:
        if source.is_voice:
            try:
                found[source.file] = voice_entry(folder, source, spaces)
            except (ValueError, OSError) as error:
                faults[source.file] = str(error)
            bar.update()
    return [found[source.file] for source in part if source.file in found], faults


def face_entries(
    folder: Path,
    sources: Sequence[Source],
    spaces: Mapping[str, VoiceFaceSpace],
    faults: dict[str, str],
    crops: bool,
) -> Iterator[NewEntry]:
    """Pictures of faces: the crop about the largest face, or the middle square of what is one."""
    read = []
    for source in sources:
        try:
            photograph = images.read(folder / source.file)
            name = Path(source.file).name
            found = images.middle(photograph) if crops else images.find_face(photograph, name).crop
            read.append((source, found))
        except (ValueError, OSError) as error:
            faults[source.file] = str(error)
    if not read:
        return
    pictures = [picture for _, picture in read]
    units = {name: space.embed_faces(pictures).cpu().numpy() for name, space in spaces.items()}
    for row, (source, picture) in enumerate(read):
        own = {(name, "faces"): rows[row] for name, rows in units.items()}
        yield NewEntry(**vars(source), picture=picture_bytes(picture), units=own)


def voice_entry(folder: Path, source: Source, spaces: Mapping[str, VoiceFaceSpace]) -> NewEntry:
    """A recording, of which the speech is embedded.

    Raises:
        UnusableRecording: nobody speaks in it.
    """
    loaded = recording.load(folder / source.file)
    speech, _ = vad.speech(loaded)
    heard = torch.from_numpy(np.ascontiguousarray(speech, np.float32))
    units = {(name, "voices"): s.embed_voice(heard).cpu().numpy() for name, s in spaces.items()}
    return NewEntry(**vars(source), voice=voice_bytes(loaded.waveform), units=units)

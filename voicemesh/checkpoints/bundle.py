"""A bundle: a folder with bundle.json and safetensors files, all that a system needs to run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.mesh.morphable import MorphableModel, pack, unpack

from . import hub
from .store import Tensors, net_of, packed, unpacked

FORMAT = 1
MANIFEST = "bundle.json"
LARGEST_FILE = 10_000_000  # bytes; larger ones could live neither in git nor on a Space
EMBEDDED = Path(__file__).parents[2] / "assets" / "bundle"
FACE_MODEL = "head"  # the part with the morphable model


@dataclass(frozen=True)
class Part:
    """One network, face model or table of numbers, and where it comes from."""

    file: str
    sha256: str
    network: str = ""  # name of the class; empty for a table of numbers
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    training: str = ""  # the data that it was trained on, in words
    results: dict[str, Any] = field(default_factory=dict)  # what was measured of it


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Files are read and checked against their sha256 when they are needed."""

    folder: Path
    name: str
    title: str
    description: str
    created: str
    parts: dict[str, Part]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, where: str | Path | None = None) -> "Bundle":
        """The embedded bundle, one in a folder, or one on the Hub (`owner/name[@revision]`).

        Raises:
            ValueError: there is none, it is not of this format, or a file is missing or altered.
        """
        folder = EMBEDDED if where is None else Path(where)
        if not folder.is_dir() and where is not None and hub.is_name(str(where)):
            folder = hub.snapshot(str(where), complete)
        bundle = read_manifest(folder)
        for part in bundle.parts:
            bundle.content(part)
        return bundle

    def part(self, name: str) -> Part:
        """One entry of the manifest."""
        if name not in self.parts:
            has = ", ".join(sorted(self.parts)) or "no parts"
            raise ValueError(f"The bundle {self.name!r} has no part {name!r}; it has {has}")
        return self.parts[name]

    def content(self, name: str) -> bytes:
        """The bytes of a part's file, verified."""
        part = self.part(name)
        path = self.folder / part.file
        if not path.is_file():
            raise ValueError(f"The bundle {self.name!r} lacks the file {path}")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != part.sha256:
            raise ValueError(
                f"{path} is not the file that the bundle describes: sha256 {found[:12]}..., "
                f"stated {part.sha256[:12]}...; copy or download the bundle again"
            )
        return content

    def tensors(self, name: str) -> Tensors:
        """All tensors of a part."""
        return self._read(name)[0]

    def net(self, name: str) -> nn.Module:
        """The network of a part, filled strictly, in evaluation mode."""
        part = self.part(name)
        if not part.network:
            raise ValueError(f"The part {name!r} of {self.name!r} holds numbers, not a network")
        origin = str(self.folder / part.file)
        return net_of(part.network, part.arguments, self.tensors(name), origin)

    def face_model(self, name: str = FACE_MODEL) -> MorphableModel:
        """The morphable model."""
        tensors, header = self._read(name)
        origin = str(self.folder / self.part(name).file)
        if header.get("net") != MorphableModel.__name__:
            raise ValueError(f"{origin} holds {header.get('net', 'no net')}, not a MorphableModel")
        return unpack(tensors, header["arguments"], origin)

    def _read(self, name: str) -> tuple[Tensors, dict[str, Any]]:
        return unpacked(self.content(name), str(self.folder / self.part(name).file))


def read_manifest(folder: Path) -> Bundle:
    """What bundle.json says, checked but for the files it names.

    Raises:
        ValueError: no manifest, another format, missing or unknown entries, unsafe file names.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is no bundle: it has no {MANIFEST}")
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        if written.get("format") != FORMAT:
            raise ValueError(f"{path} is of format {written.get('format')}; this reads {FORMAT}")
        del written["format"]
        parts = {name: Part(**entry) for name, entry in written.pop("parts").items()}
        notes = tuple(written.pop("notes", ()))
        bundle = Bundle(folder=folder, parts=parts, notes=notes, **written)
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no bundle manifest: {error}") from error
    for name, part in parts.items():
        check_file_name(part.file, f"{path}, part {name!r}")
    return bundle


def check_file_name(file: str, origin: str) -> None:
    """Refuse any name that could leave the bundle's folder or is no tensor file."""
    if Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
        raise ValueError(f"{origin}: {file!r} is no plain name of a .safetensors file")


def complete(folder: Path) -> bool:
    """Whether a folder has a manifest and every file that it names."""
    if not (folder / MANIFEST).is_file():
        return False
    return all((folder / part.file).is_file() for part in read_manifest(folder).parts.values())


class BundleWriter:
    """Writes a bundle part by part; the folder is a readable bundle after each."""

    def __init__(
        self,
        folder: str | Path,
        name: str,
        title: str | None = None,
        description: str | None = None,
        notes: tuple[str, ...] | None = None,
        largest: int | None = LARGEST_FILE,
    ) -> None:
        """Begin a bundle, or go on with the one in the folder, whose parts and words stay.

        Args:
            largest: most bytes of a file; None for bundles that need not live in git.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.largest = largest
        created = datetime.now(UTC).isoformat(timespec="seconds")
        if (folder / MANIFEST).is_file():
            begun = read_manifest(folder)
        else:
            begun = Bundle(folder, name, "", "", created, {})
        given = {"title": title, "description": description, "notes": notes}
        told = {key: value for key, value in given.items() if value is not None}
        self.bundle = replace(begun, name=name, created=created, **told)
        self._write_manifest()

    def net(
        self,
        part: str,
        net: nn.Module,
        arguments: Mapping[str, Any],
        half: bool = False,
        **about: Any,
    ) -> None:
        """Add a network; `half` stores matrices and kernels as float16, the small rest as it is.

        `about`: source, licence, training, results.
        """
        tensors = net.state_dict()
        if half:
            tensors = {
                key: value.half() if value.is_floating_point() and value.ndim > 1 else value
                for key, value in tensors.items()
            }
        name, arguments = type(net).__name__, json.loads(json.dumps(dict(arguments)))
        content = packed(tensors, {"net": name, "arguments": arguments})
        self._add(part, content, network=name, arguments=arguments, **about)

    def tensors(
        self, part: str, tensors: Mapping[str, Shaped[Tensor, "..."]], **about: Any
    ) -> None:
        """Add a table of numbers."""
        self._add(part, packed(tensors, {}), **about)

    def face_model(
        self, model: MorphableModel, part: str = FACE_MODEL, compact: bool = True, **about: Any
    ) -> None:
        """Add a morphable model."""
        tensors, header = pack(model, compact)
        name = MorphableModel.__name__
        self._add(part, packed(tensors, {"net": name, "arguments": header}), network=name, **about)

    def _add(self, name: str, content: bytes, **about: Any) -> None:
        if self.largest is not None and len(content) > self.largest:
            raise ValueError(
                f"The part {name!r} takes {len(content):,} bytes; a file of a bundle has at most "
                f"{self.largest:,}: store it in half precision or make the network smaller"
            )
        file = f"{name}.safetensors"
        check_file_name(file, f"part {name!r}")
        part = Part(file=file, sha256=hashlib.sha256(content).hexdigest(), **about)
        (self.bundle.folder / file).write_bytes(content)
        self.bundle = replace(self.bundle, parts={**self.bundle.parts, name: part})
        self._write_manifest()

    def _write_manifest(self) -> None:
        bundle = self.bundle
        written = {"format": FORMAT, **asdict(bundle), "notes": list(bundle.notes)}
        del written["folder"]
        text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
        (bundle.folder / MANIFEST).write_text(text, encoding="utf-8")

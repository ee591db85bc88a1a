"""A bundle: a folder with bundle.json and safetensors files, all that a system needs to run."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.mesh.packing import pack, unpack
from voicemesh.whole_files import write_whole

from . import hub
from .eight_bits import narrowed
from .manifest import (
    FORMAT,
    GALLERY_MANIFEST,
    MANIFEST,
    Part,
    check_file_name,
    check_gallery,
    complete,
    gallery_files,
    stated,
)
from .parts import FACE_MODEL, FITTED_TO
from .store import Tensors, net_of, packed, unpacked

LARGEST_FILE = 10_000_000  # bytes; larger ones could live neither in git nor on a Space
EMBEDDED = Path(__file__).parents[2] / "assets" / "bundle"
GALLERY = "gallery"  # a folder of a bundle


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Files are read and checked against their sha256 when they are needed.

    >>> bundle = Bundle.open()
    >>> bundle.part("head").network, bundle.part("head").licence
    ('MorphableModel', 'MIT')
    >>> bundle.face_model().shape_basis.shape[1:]  # of three numbers a vertex, one per parameter
    torch.Size([3, 40])
    """

    folder: Path
    name: str
    title: str
    description: str
    created: str
    parts: dict[str, Part]
    notes: tuple[str, ...] = ()
    gallery: str = ""  # the name of a folder in it with a gallery of people
    gallery_sha256: str = ""  # of that gallery's manifest, which tells those of its files

    def __repr__(self) -> str:
        return f"Bundle({self.name!r}, {len(self.parts)} parts in {self.folder})"

    @classmethod
    def open(cls, where: str | Path | None = None) -> "Bundle":
        """The embedded bundle, one in a folder, or one on the Hub (`owner/name[@revision]`).

        Raises:
            ValueError: there is none, it is not of this format, or a file is missing or altered.
        """
        if where is None and not EMBEDDED.is_dir():
            raise ValueError(
                f"There is no {EMBEDDED}: the embedded bundle comes with a checkout of the"
                " repository, not with the package; run from one, or name a bundle: a folder or"
                " owner/name[@revision]"
            )
        folder = EMBEDDED if where is None else Path(where)
        if not folder.is_dir() and where is not None and hub.is_name(str(where)):
            folder = hub.snapshot(str(where), complete)
        bundle = cls(folder, **stated(folder))
        for part in bundle.parts:
            bundle.content(part)
        if bundle.gallery:
            check_gallery(bundle.folder / bundle.gallery, bundle.gallery_sha256, bundle.name)
        return bundle

    @property
    def gallery_folder(self) -> Path | None:
        """Where its gallery is, if it has one."""
        return self.folder / self.gallery if self.gallery else None

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

    def unfit(self, name: str) -> list[str]:
        """The parts that a part was fitted to and that are others here."""
        wanted, parts = self.part(name).fitted_to, self.parts
        return [net for net in wanted if net in parts and parts[net].sha256 != wanted[net]]

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
        return unpack(tensors, header.get("arguments", {}), origin)

    def _read(self, name: str) -> tuple[Tensors, dict[str, Any]]:
        if others := self.unfit(name):
            raise ValueError(
                f"The part {name!r} of {self.name!r} was fitted to another {' and '.join(others)}"
                " than the bundle has; publish it again with these nets, or take it out of"
                f" {self.folder / MANIFEST}"
            )
        return unpacked(self.content(name), str(self.folder / self.part(name).file))


class BundleWriter:
    """Writes a bundle part by part; the folder is a readable bundle after each.

    >>> from tempfile import mkdtemp
    >>> writer = BundleWriter(mkdtemp(), "mine", title="Mine")
    >>> writer.face_model(Bundle.open().face_model(), licence="MIT")
    >>> Bundle.open(writer.bundle.folder).title, list(writer.bundle.parts)
    ('Mine', ['head'])
    """

    def __init__(
        self,
        folder: str | Path,
        name: str,
        title: str | None = None,
        description: str | None = None,
        notes: tuple[str, ...] | None = None,
        largest: int | None = LARGEST_FILE,
        fitted_in: Bundle | None = None,
    ) -> None:
        """Begin a bundle, or go on with the one in the folder, whose parts and words stay.

        Args:
            largest: most bytes of a file; None for bundles that need not live in git.
            fitted_in: the bundle whose nets new parts were fitted to, where they do not come
                with nets of their own; this one unless given.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.largest = largest
        created = datetime.now(UTC).isoformat(timespec="seconds")
        if (folder / MANIFEST).is_file():
            begun = Bundle(folder, **stated(folder))
        else:
            begun = Bundle(folder, name, "", "", created, {})
        given = {"title": title, "description": description, "notes": notes}
        told = {key: value for key, value in given.items() if value is not None}
        self.bundle = replace(begun, name=name, created=created, **told)
        nets = (begun if fitted_in is None else fitted_in).parts
        self._nets = {part: nets[part].sha256 for part in nets}
        self._written: set[str] = set()
        self._write_manifest()

    def net(
        self,
        part: str,
        net: nn.Module,
        arguments: Mapping[str, Any],
        half: bool = False,
        eight_bits: bool = False,
        **about: Any,
    ) -> None:
        """Add a network; `half` stores matrices and kernels as float16, the small rest as it is.

        `eight_bits` stores those that are large in less, see `eight_bits`. `about`: source,
        licence, training, results.
        """
        tensors = net.state_dict()
        if eight_bits:
            tensors = narrowed(tensors)
        elif half:
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

    def forget(self, part: str) -> None:
        """Take a part out, and its file."""
        entry = self.bundle.part(part)
        left = {name: kept for name, kept in self.bundle.parts.items() if name != part}
        self.bundle = replace(self.bundle, parts=left)
        self._write_manifest()
        if entry.file not in {kept.file for kept in left.values()}:
            (self.bundle.folder / entry.file).unlink(missing_ok=True)

    def gallery(self, source: str | Path) -> None:
        """Copy a finished gallery in, in place of the one that is there.

        Raises:
            ValueError: a file is missing or too large.
        """
        source, target = Path(source), self.bundle.folder / GALLERY
        names = [GALLERY_MANIFEST, *gallery_files(source)]
        for name in names:
            size = (source / name).stat().st_size
            if self.largest is not None and size > self.largest:
                raise ValueError(
                    f"{source / name} has {size:,} bytes; a file of a bundle has at most "
                    f"{self.largest:,}: make a smaller gallery"
                )
        if not target.is_dir() or not source.samefile(target):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in names:
                shutil.copyfile(source / name, target / name)
        sha256 = hashlib.sha256((target / GALLERY_MANIFEST).read_bytes()).hexdigest()
        self.bundle = replace(self.bundle, gallery=GALLERY, gallery_sha256=sha256)
        self._write_manifest()

    def _add(self, name: str, content: bytes, **about: Any) -> None:
        if self.largest is not None and len(content) > self.largest:
            raise ValueError(
                f"The part {name!r} takes {len(content):,} bytes; a file of a bundle has at most "
                f"{self.largest:,}: store it in half precision or make the network smaller"
            )
        file = f"{name}.safetensors"
        check_file_name(file, f"part {name!r}")
        part = Part(file=file, sha256=hashlib.sha256(content).hexdigest(), **about)
        write_whole(self.bundle.folder / file, content)
        self._nets[name] = part.sha256
        self._written.add(name)
        parts = {**self.bundle.parts, name: part}
        # What is written together belongs together, in whatever order it comes.
        parts |= {own: self._fitted(own, parts[own]) for own in self._written & parts.keys()}
        self.bundle = replace(self.bundle, parts=parts)
        self._write_manifest()

    def _fitted(self, name: str, part: Part) -> Part:
        nets = [net for net in FITTED_TO.get(name, ()) if net in self._nets]
        return replace(part, fitted_to={net: self._nets[net] for net in nets})

    def _write_manifest(self) -> None:
        bundle = self.bundle
        written = {"format": FORMAT, **asdict(bundle), "notes": list(bundle.notes)}
        del written["folder"]
        for part in written["parts"].values():
            if not part["fitted_to"]:
                del part["fitted_to"]
        if not bundle.gallery:
            del written["gallery"], written["gallery_sha256"]
        text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
        write_whole(bundle.folder / MANIFEST, text)

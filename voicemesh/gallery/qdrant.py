"""A gallery in a Qdrant collection, for those that outgrow one machine: the same questions.

Entries are points numbered alike, their texts and media the payload, a named vector for each side
of each space; what belongs to the whole gallery is the collection's metadata.
"""

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from .folder import FolderGallery
from .gallery import SEXES, TEXTS, Entry, Gallery, Space
from .search import Matches, matches

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

FORMAT = 1
AT_ONCE = 256  # points that are sent together
FILTERS = ("all", *SEXES[1:])


class QdrantGallery(Gallery):
    """A collection that `upload` made."""

    def __init__(self, client: "QdrantClient", collection: str) -> None:
        """Open a collection.

        Raises:
            ValueError: there is none, or it is not a gallery of this format.
        """
        if not client.collection_exists(collection):
            raise ValueError(f"Qdrant has no collection {collection!r}; make one with `upload`")
        told = client.get_collection(collection).config.metadata or {}
        if told.get("format") != FORMAT:
            raise ValueError(
                f"The collection {collection!r} is of format {told.get('format')}; this reads "
                f"{FORMAT}"
            )
        self.client, self.collection, self.told = client, collection, told
        self.name, self.title = told["name"], told["title"]
        self.spaces = {
            name: Space(space["nets"], space["width"], tuple(space["sides"]))
            for name, space in told["spaces"].items()
        }

    @classmethod
    def at(cls, address: str) -> "QdrantGallery":
        """The collection `http://host:port/collection` of a server.

        Raises:
            ValueError: the address names no collection, or the client is not installed.
        """
        return cls(*connected(address))

    def __len__(self) -> int:
        return self.told["entries"]

    def entry(self, number: int) -> Entry:
        """One entry, its media included."""
        found = self.client.retrieve(self.collection, [number]) if number >= 0 else []
        if not found:
            raise ValueError(f"No entry {number}; {self.name!r} has {len(self)}")
        payload = found[0].payload
        shape = payload["shape_params"]
        return Entry(
            number=number,
            **{name: payload[name] for name in TEXTS},
            sex=payload["sex"],
            age=payload["age"],
            picture=None if payload["picture"] is None else b64decode(payload["picture"]),
            voice=None if payload["voice"] is None else b64decode(payload["voice"]),
            shape_params=None if shape is None else np.array(shape, np.float32),
        )

    def numbers(self, identity: str) -> list[int]:
        """The entries of a person, ascending; none for a stranger."""
        found, offset = [], None
        while True:
            points, offset = self.client.scroll(
                self.collection,
                scroll_filter=_filter(identity=identity),
                offset=offset,
                with_payload=False,
            )
            found += [int(point.id) for point in points]
            if offset is None:
                return sorted(found)

    def search(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str = "faces",
        count: int = 8,
        sex: str | None = None,
    ) -> Matches:
        """The `count` people most similar to a probe; the server decides how it looks for them."""
        self._asked(unit, space, side, sex)
        people = self.told["people"][f"{space}.{side}"][sex or "all"]
        found = self._best(unit, f"{space}-{side}", min(count, people), sex) if people else []
        numbers = np.array([number for number, _ in found], np.int64)
        similarity = np.array([score for _, score in found], np.float32)
        less = people - np.arange(1, len(found) + 1)
        for place in range(len(found) - 2, -1, -1):  # equals are not less similar
            if similarity[place] == similarity[place + 1]:
                less[place] = less[place + 1]
        strangers = self.told["strangers"].get(f"{space}.{side}.{sex or 'all'}")
        known = None if strangers is None else np.array(strangers, np.float32)
        return matches(numbers, similarity, less, people, known)

    def rank(
        self,
        unit: Float[np.ndarray, " d"],
        space: str,
        side: str,
        identity: str,
        sex: str | None = None,
    ) -> tuple[int, int]:
        """A person's place among how many people: everyone as similar or more is asked for."""
        self._asked(unit, space, side, sex)
        name = f"{space}-{side}"
        own = self._best(unit, name, 1, sex, identity=identity)
        if not own:
            raise self._nobody(identity, space, side, sex)
        people = self.told["people"][f"{space}.{side}"][sex or "all"]
        before = self._best(unit, name, people, sex, least=own[0][1])
        return 1 + sum((-score, n) < (-own[0][1], own[0][0]) for n, score in before), people

    def _best(
        self,
        unit: Float[np.ndarray, " d"],
        vector: str,
        count: int,
        sex: str | None,
        identity: str | None = None,
        least: float | None = None,
    ) -> list[tuple[int, float]]:
        """Number and similarity of each person's best entry, in order; equals by their number."""
        found = self.client.query_points_groups(
            self.collection,
            group_by="identity",
            query=np.asarray(unit, np.float32).tolist(),
            using=vector,
            query_filter=_filter(sex=sex, identity=identity),
            limit=count,
            group_size=1,
            with_payload=False,
            score_threshold=least,
        )
        hits = [(int(group.hits[0].id), float(group.hits[0].score)) for group in found.groups]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def connected(address: str) -> tuple["QdrantClient", str]:
    """A client of the server, and the collection, of `http://host:port/collection`.

    Raises:
        ValueError: the address names no collection, no server answers there, or the client is not
            installed.
    """
    parts = urlsplit(address)
    collection = parts.path.strip("/")
    if not collection or "/" in collection:
        raise ValueError(f"{address} names no collection; write http://host:port/collection")
    try:
        from qdrant_client import QdrantClient
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
    except ImportError as error:
        raise ValueError(
            "Galleries on a server need qdrant-client: pip install -r requirements-qdrant.txt"
        ) from error
    client = QdrantClient(url=f"{parts.scheme}://{parts.netloc}")
    try:
        client.get_collections()
    except (ResponseHandlingException, UnexpectedResponse) as error:
        raise ValueError(f"No Qdrant server answers at {address}: {error}") from error
    return client, collection


def _filter(**wanted: str | None) -> Any:
    """Points whose payload says so."""
    from qdrant_client import models

    given = {key: value for key, value in wanted.items() if value is not None}
    if not given:
        return None
    conditions = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in given.items()
    ]
    return models.Filter(must=conditions)


def upload(gallery: FolderGallery, client: "QdrantClient", collection: str) -> QdrantGallery:
    """Copy a gallery into a new collection.

    Raises:
        ValueError: the collection is there already.
    """
    from qdrant_client import models

    if client.collection_exists(collection):
        raise ValueError(f"Qdrant has a collection {collection!r} already; choose another name")
    sides = {
        f"{name}-{side}": gallery.side(name, side)
        for name, space in gallery.spaces.items()
        for side in space.sides
    }
    vectors = {
        name: models.VectorParams(size=side.vectors.shape[1], distance=models.Distance.COSINE)
        for name, side in sides.items()
    }
    client.create_collection(collection, vectors_config=vectors, metadata=_about(gallery))
    for field in ("identity", "sex"):
        client.create_payload_index(collection, field, models.PayloadSchemaType.KEYWORD)
    numbers = range(len(gallery))
    for start in tqdm(numbers[::AT_ONCE], unit="batch", desc=collection, disable=None):
        points = []
        for number in numbers[start : start + AT_ONCE]:
            own = {}
            for name, side in sides.items():
                row = int(np.searchsorted(side.entries, number))
                if row < len(side) and side.entries[row] == number:
                    own[name] = side.vectors[row].astype(np.float32).tolist()
            points.append(
                models.PointStruct(id=number, vector=own, payload=_payload(gallery.entry(number)))
            )
        client.upsert(collection, points)
    return QdrantGallery(client, collection)


def _about(gallery: FolderGallery) -> dict[str, Any]:
    """What belongs to the whole gallery."""
    told: dict[str, Any] = {
        "format": FORMAT,
        "name": gallery.name,
        "title": gallery.title,
        "entries": len(gallery),
        "spaces": {},
        "people": {},
        "strangers": {},
    }
    for name, space in gallery.spaces.items():
        made_by = {"nets": space.nets, "width": space.width, "sides": list(space.sides)}
        told["spaces"][name] = made_by
        for side in space.sides:
            rows = gallery.side(name, side)
            numbers = [None, *(SEXES.index(sex) for sex in FILTERS[1:])]
            counts = {f: rows.count(n) for f, n in zip(FILTERS, numbers, strict=True)}
            told["people"][f"{name}.{side}"] = counts
            for sex in FILTERS:
                if (found := gallery.strangers(name, side, sex)) is not None:
                    told["strangers"][f"{name}.{side}.{sex}"] = found.tolist()
    return told


def _payload(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        **{name: getattr(entry, name) for name in (*TEXTS, "sex", "age")},
        "picture": None if entry.picture is None else b64encode(entry.picture).decode(),
        "voice": None if entry.voice is None else b64encode(entry.voice).decode(),
        "shape_params": None if entry.shape_params is None else entry.shape_params.tolist(),
    }

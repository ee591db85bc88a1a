"""Figures: what reaches the browser is typed, bounded and in the right place."""

import base64
import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from voicemesh import figures
from voicemesh.figures import Sitter
from voicemesh.figures.palette import DISTANCE_STOPS
from voicemesh.figures.voice import MEL_COLUMNS, WAVEFORM_COLUMNS, axis, envelope
from voicemesh.mesh.hair_strips import woven
from voicemesh.mesh.hair_worn import worn
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.mesh.packing import load

HEAD = Path(__file__).parents[1] / "assets" / "bundle" / "head.safetensors"
KINDS = ("speech", "silence")


@pytest.fixture(scope="module")
def head_model() -> MorphableModel:
    return load(HEAD)


@pytest.fixture
def face() -> FaceMesh:
    vertices = np.array([[0, 0, 90], [40, 0, 0], [-40, 0, 0], [0, 100, 0]], np.float32)
    triangles = np.array([[0, 1, 3], [0, 3, 2], [0, 2, 1], [1, 2, 3]], np.int32)
    colours = np.array([[1, 0, 0], [0, 0.5, 0], [0, 0, 1], [1, 1, 1]], np.float32)
    return FaceMesh(vertices, triangles, colours, np.zeros(68, np.int64))


def test_head_faces_the_camera_with_typed_arrays(face):
    figure = figures.head(Sitter(face)).figure()
    head = figure.data[0]
    assert head.x.dtype == head.y.dtype == head.z.dtype == np.float32
    assert head.i.dtype == head.j.dtype == head.k.dtype == np.uint16
    nose = np.array([head.x[0], head.y[0], head.z[0]])
    eye = figure.layout.scene.camera.eye
    assert nose @ [eye.x, eye.y, eye.z] > 100  # towards the camera
    assert head.z[3] == 100  # up
    assert not figure.layout.scene.xaxis.visible


def test_triangles_stay_outward(face):
    head = figures.head(Sitter(face)).figure().data[0]
    points = np.stack([head.x, head.y, head.z], 1)
    a, b, c = (points[index] for index in (head.i, head.j, head.k))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum()
    a, b, c = (face.vertices[face.triangles[:, corner]] for corner in range(3))
    assert np.isclose(volume, np.einsum("ij,ij->i", a, np.cross(b, c)).sum())
    assert abs(volume) > 1


def colours_in(packed: dict) -> np.ndarray:
    """Bytes as Plotly reads them."""
    assert packed["dtype"] == "u1"
    shape = [int(size) for size in packed["shape"].split(", ")]
    return np.frombuffer(base64.b64decode(packed["bdata"]), np.uint8).reshape(shape)


def views_of(figure) -> dict[str, np.ndarray]:
    views = figure.layout.meta["views"]
    return {name: colours_in(view["vertexcolor"][0]) for name, view in views.items()}


def test_every_view_travels_with_the_figure(face):
    uncertainty = np.array([0.0, 2.0, 4.0, 40.0], np.float32)
    figure = figures.head(Sitter(face, uncertainty), "uncertainty").figure()
    views = figure.layout.meta["views"]
    assert list(views) == list(figures.VIEWS)
    head, bar = figure.data
    assert bar.visible and bar.marker.cmax == np.ceil(np.percentile(uncertainty, 95))
    assert head.intensity is None  # Plotly would not forget it in another view
    assert not views["skin"]["visible"][1]
    told = views_of(figure)
    assert (told["skin"][0].argmax(), told["skin"][2].argmax()) == (0, 2)  # red, blue
    assert np.ptp(told["grey"].astype(int), axis=1).max() < 40
    near, far = (
        np.array([int(stop[k : k + 2], 16) for k in (1, 3, 5)])
        for stop in (DISTANCE_STOPS[0], DISTANCE_STOPS[-1])
    )
    for colour, stop in ((told["uncertainty"][0], near), (told["uncertainty"][3], far)):
        share = colour / stop
        assert np.ptp(share) < 0.02 and 0.49 < share.min() and share.max() <= 1.01
    shown = json.loads(figure.to_json())["data"][0]["vertexcolor"]
    assert (colours_in(shown) == told["uncertainty"]).all()


def test_views_without_uncertainty(face):
    figure = figures.head(Sitter(face), "grey").figure()
    assert set(figure.layout.meta["views"]) == {"skin", "grey"}
    assert not figure.data[1].visible
    with pytest.raises(ValueError, match="skin, grey"):
        figures.head(Sitter(face), "uncertainty")


def test_folds_are_darker(face):
    open_sky, folded = (
        views_of(figures.head(Sitter(face, openness=sky), "grey").figure())["grey"]
        for sky in (np.ones(4, np.float32), np.full(4, 0.1, np.float32))
    )
    assert (folded.max(1) < open_sky.max(1)).all() and folded.min() > 0


def test_hair_and_shoulders_belong_to_the_skin_view_alone(head_model):
    face = head_model.mesh(torch.zeros(head_model.shape_basis.shape[2]))
    hair = worn(head_model, face, "short")
    figure = figures.head(Sitter(face, hair=hair)).figure()
    head, _, shoulders, locks = figure.data
    assert len(head.x) == len(face.vertices) and len(locks.x) == len(hair.vertices)
    assert shoulders.z.min() < head.z.min() - 100 and shoulders.k.max() < len(shoulders.x)
    views = figure.layout.meta["views"]
    assert views["skin"]["visible"] == [True, False, True, True]
    assert views["grey"]["visible"] == [True, False, False, False]
    bare = figures.head(Sitter(face, hair=worn(head_model, face, "none"))).figure()
    top = face.vertices[:, 1] > face.vertices[:, 1].max() - 5
    assert views_of(bare)["skin"][top].mean() > 1.5 * views_of(figure)["skin"][top].mean()
    assert len(figure.to_json()) < 2_300_000


def test_shoulders_are_closed_and_inside_the_scene(head_model):
    largest = torch.full((head_model.shape_basis.shape[2],), 0.4)
    for shape in (torch.zeros_like(largest), largest, -largest):
        drawing = figures.head(Sitter(head_model.mesh(shape)))
        shoulders = drawing.beside[1]
        for side, (low, high) in drawing.sent()["ranges"].items():
            assert low < shoulders[side].min() and shoulders[side].max() < high  # nothing is cut
        count = len(shoulders["x"])
        edges = {(int(a), int(b)) for a, b in edges_of(shoulders)}
        rims = {a for a, b in edges if (b, a) not in edges}
        lowest = np.argsort(shoulders["z"])[: count // 20]
        end = np.ptp(shoulders["x"][sorted(rims & set(lowest.tolist()))])
        assert end < 0.1 * np.ptp(shoulders["x"])


def edges_of(trace) -> np.ndarray:
    """Directed edges of a trace's triangles."""
    i, j, k = (np.asarray(trace[name], np.int64) for name in "ijk")
    return np.concatenate([np.stack(pair, 1) for pair in ((i, j), (j, k), (k, i))])


def test_two_heads_wear_their_own_hair(head_model):
    faces = [head_model.mesh(torch.full((head_model.shape_basis.shape[2],), x)) for x in (0.0, 0.3)]
    hairs = [worn(head_model, faces[0], "long"), worn(head_model, faces[1], "short")]
    outward = np.linspace(-1, 1, len(faces[0].vertices), dtype=np.float32)
    sitters = [Sitter(face, hair=hair) for face, hair in zip(faces, hairs, strict=True)]
    drawing = figures.difference(sitters, outward)
    figure, told = drawing.figure(), drawing.sent()
    views = figure.layout.meta["views"]
    assert views["first"]["visible"] == [True, False, False, True, True, False, False]
    assert views["second"]["visible"] == [False, True, False, False, False, True, True]
    assert views["difference"]["visible"] == [False, True, True] + [False] * 4
    assert [len(figure.data[n].x) for n in (4, 6)] == [len(hair.vertices) for hair in hairs]
    assert len(views["first"]["vertexcolor"]) == len(figure.data) == len(told["traces"])
    assert ["i" in trace for trace in told["traces"]] == [False] * 3 + [True, False] * 2
    assert told["view"] == "difference" and told["views"] == views


def test_another_head_is_the_same_but_for_its_triangles(head_model):
    shape = torch.full((head_model.shape_basis.shape[2],), 0.7)
    face = head_model.mesh(shape)
    uncertainty = np.linspace(0, 9, len(face.vertices), dtype=np.float32)
    hair = worn(head_model, face, "long")
    sitter = Sitter(face, uncertainty, hair=hair)
    figure = figures.head(sitter, "uncertainty").figure()
    told = figures.head(sitter, "uncertainty", alone=True).sent()
    assert [trace["type"] for trace in told["traces"]] == [one.type for one in figure.data]
    assert not {"i", "j", "k"} & set(told["traces"][0]) and "i" in told["traces"][2]
    locks = figure.data[3]  # a page weaves the triangles of strips itself
    assert not {"i", "j", "k"} & set(told["traces"][3])
    corners = np.stack([np.asarray(locks[name]) for name in "ijk"], 1)
    strips = [tuple(strip) for strip in told["traces"][3]["meta"]["strips"]]
    np.testing.assert_array_equal(woven(strips), corners)
    for trace, whole in zip(told["traces"], figure.data, strict=True):
        for name in "xyz":
            letters, step = trace[name]["bdata"], trace[name]["step"]
            places = np.frombuffer(base64.b64decode(letters), "<i2") * step
            assert np.abs(places - np.asarray(whole[name])).max() < 0.01  # millimetres
    for name, ends in told["ranges"].items():
        assert tuple(ends) == figure.layout.scene[f"{name}axis"].range
    views = figures.other_views(sitter, "uncertainty") | told["views"]
    assert views == figure.layout.meta["views"]
    assert len(json.dumps(told)) < 0.45 * len(figure.to_json())
    with pytest.raises(ValueError, match="no view 'uncertainty' here; there are skin, grey"):
        figures.head(Sitter(face), "uncertainty", alone=True)


def drawn(figure: str) -> tuple[list[str], np.ndarray]:
    """The strokes of speech and silence, and the pixels of the picture below them."""
    paths = [re.search(rf"<path class='{name}' d='([^']*)'", figure)[1] for name in KINDS]
    content = base64.b64decode(re.search(r"src='data:image/webp;base64,([^']+)'", figure)[1])
    return paths, np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def test_voice_marks_speech():
    waveform = np.zeros(32_000, np.float32)
    waveform[8_000:16_000] = 0.5 * (-1) ** np.arange(8_000)
    log_mel = np.zeros((64, 200))
    log_mel[:8, :100] = 5.0  # low and early
    figure = figures.voice(waveform, np.array([[8_000, 16_000]]), log_mel)
    assert "<rect x='150.0' width='150.0'" in figure and figure.count("<rect") == 1
    assert "2.0 s, of which 0.5 s are speech" in figure
    (speech, silence), picture = drawn(figure)
    places = [float(x) for x in re.findall(r"M([\d.]+)", speech)]
    assert 150 <= min(places) and max(places) <= 300 and len(places) == WAVEFORM_COLUMNS / 4
    for path, height in ((speech, 97), (silence, 1)):
        ends = re.findall(r" ([\d.]+)V([\d.]+)", path)
        assert {round(float(bottom) - float(top)) for top, bottom in ends} == {height}
    assert picture.shape == (64, 200, 3)
    bright = picture.mean(2)
    assert bright[-6:, 5:90].min() > 2 * bright[:40].max() > bright[-6:, 110:].max()


def test_long_recordings_stay_small():
    waveform = np.random.default_rng(0).normal(size=16_000 * 120).astype(np.float32)
    log_mel = np.random.default_rng(0).normal(size=(64, 12_000)).astype(np.float32)
    figure = figures.voice(waveform, np.zeros((0, 2), np.int64), log_mel)
    (speech, silence), picture = drawn(figure)
    assert picture.shape == (64, MEL_COLUMNS, 3)
    assert silence.count("M") == WAVEFORM_COLUMNS and not speech
    assert len(figure) < 150_000


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, ["0"]), (2.6, ["0", "0.5", "1", "1.5", "2", "2.5"]), (10.0, ["0", "2", "4", "6", "8"])],
)
def test_few_seconds_are_numbered(seconds, told):
    assert re.findall(r"%'>([\d.]+)<", axis(seconds)) == told


def test_empty_voice_is_a_figure():
    empty = figures.voice(np.zeros(0, np.float32), np.zeros((0, 2), np.int64), np.zeros((64, 0)))
    paths, picture = drawn(empty)
    assert paths == ["", ""] and picture.shape == (64, 1, 3)


def test_envelope_keeps_extremes():
    waveform = np.zeros(1000, np.float32)
    waveform[[13, 512]] = [0.25, -0.5]
    edges, low, high = envelope(waveform, 10)
    assert edges.tolist() == list(range(0, 1000, 100))
    assert high[0] == 0.5 and low[5] == -1.0

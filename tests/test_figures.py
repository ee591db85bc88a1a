"""Figures: what reaches the browser is typed, bounded and in the right place."""

import json

import numpy as np
import pytest

from voicemesh import figures
from voicemesh.figures.palette import DISTANCE_STOPS
from voicemesh.figures.voice import MEL_COLUMNS, WAVEFORM_COLUMNS, envelope
from voicemesh.mesh.morphable import FaceMesh


@pytest.fixture
def face() -> FaceMesh:
    vertices = np.array([[0, 0, 90], [40, 0, 0], [-40, 0, 0], [0, 100, 0]], np.float32)
    triangles = np.array([[0, 1, 3], [0, 3, 2], [0, 2, 1], [1, 2, 3]], np.int32)
    colours = np.array([[1, 0, 0], [0, 0.5, 0], [0, 0, 1], [1, 1, 1]], np.float32)
    return FaceMesh(vertices, triangles, colours, np.zeros(68, np.int64))


def test_head_faces_the_camera_with_typed_arrays(face):
    figure = figures.mesh(face)
    head = figure.data[0]
    assert head.x.dtype == head.y.dtype == head.z.dtype == np.float32
    assert head.i.dtype == head.j.dtype == head.k.dtype == np.int32
    nose = np.array([head.x[0], head.y[0], head.z[0]])
    eye = figure.layout.scene.camera.eye
    assert nose @ [eye.x, eye.y, eye.z] > 100  # towards the camera
    assert head.z[3] == 100  # up
    assert not figure.layout.scene.xaxis.visible


def test_triangles_stay_outward(face):
    head = figures.mesh(face).data[0]
    points = np.stack([head.x, head.y, head.z], 1)
    a, b, c = (points[index] for index in (head.i, head.j, head.k))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum()
    a, b, c = (face.vertices[face.triangles[:, corner]] for corner in range(3))
    assert np.isclose(volume, np.einsum("ij,ij->i", a, np.cross(b, c)).sum())
    assert abs(volume) > 1


def test_every_view_travels_with_the_figure(face):
    uncertainty = np.array([0.0, 2.0, 4.0, 40.0], np.float32)
    figure = figures.mesh(face, uncertainty, "uncertainty")
    views = figure.layout.meta["views"]
    assert list(views) == list(figures.VIEWS)
    assert views["skin"]["vertexcolor"][0][::2] == ["#ff0000", "#0000ff"]
    assert len(set(views["grey"]["vertexcolor"][0])) == 1
    head, bar = figure.data
    assert bar.visible and bar.marker.cmax == np.ceil(np.percentile(uncertainty, 95))
    assert list(head.vertexcolor) == views["uncertainty"]["vertexcolor"][0]
    assert head.vertexcolor[0] == DISTANCE_STOPS[0]
    assert head.vertexcolor[3] == DISTANCE_STOPS[-1]
    assert head.intensity is None  # Plotly would not forget it in another view
    assert not views["skin"]["visible"][1]
    json.loads(figure.to_json())


def test_views_without_uncertainty(face):
    figure = figures.mesh(face, None, "grey")
    assert set(figure.layout.meta["views"]) == {"skin", "grey"}
    assert not figure.data[1].visible
    with pytest.raises(ValueError, match="skin, grey"):
        figures.mesh(face, None, "uncertainty")


def test_folds_are_darker(face):
    openness = np.array([1.0, 0.8, 0.4, 0.0], np.float32)
    views = figures.mesh(face, None, "grey", openness).layout.meta["views"]
    levels = [int(colour[1:3], 16) for colour in views["grey"]["vertexcolor"][0]]
    assert levels[0] == levels[1] > levels[2] > levels[3] > 0


def test_voice_marks_speech():
    waveform = np.zeros(32_000, np.float32)
    waveform[8_000:16_000] = 0.5
    segments = np.array([[8_000, 16_000]])
    log_mel = np.random.default_rng(0).normal(size=(64, 200))
    figure = figures.voice(waveform, segments, log_mel)
    shade = figure.layout.shapes[0]
    assert (shade.x0, shade.x1) == (0.5, 1.0)
    speech, silence, heat = figure.data
    assert 0.49 < np.min(speech.x) and np.max(speech.x) < 1.0
    assert np.nanmax(speech.y) == 1.0 and np.nanmax(np.abs(silence.y)) == 0.0
    assert np.asarray(heat.z).dtype == np.uint8 and np.asarray(heat.z).shape == (64, 200)
    assert np.isclose(heat.dx * 200, 2.0)


def test_long_recordings_stay_small():
    waveform = np.random.default_rng(0).normal(size=16_000 * 120).astype(np.float32)
    log_mel = np.random.default_rng(0).normal(size=(64, 12_000)).astype(np.float32)
    figure = figures.voice(waveform, np.zeros((0, 2), np.int64), log_mel)
    assert np.asarray(figure.data[2].z).shape == (64, MEL_COLUMNS)
    assert len(figure.data[1].x) == 3 * WAVEFORM_COLUMNS
    assert len(figure.to_json()) < 300_000


def test_empty_voice_is_a_figure():
    empty = figures.voice(np.zeros(0, np.float32), np.zeros((0, 2), np.int64), np.zeros((64, 0)))
    assert len(empty.layout.shapes) == 0


def test_envelope_keeps_extremes():
    waveform = np.zeros(1000, np.float32)
    waveform[[13, 512]] = [0.25, -0.5]
    edges, low, high = envelope(waveform, 10)
    assert edges.tolist() == list(range(0, 1000, 100))
    assert high[0] == 0.5 and low[5] == -1.0

"""The face finder, on a photograph of a person and on rendered heads."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from voicemesh import images
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.images.faces import EYES, SIDE
from voicemesh.mesh.render import materials, portrait

EYES_OF_THE_ASTRONAUT = np.array([[203.0, 101.0], [248.0, 103.0]])


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """Eileen Collins, NASA, in the public domain."""
    return data.astronaut()


def test_eyes_of_a_photograph(astronaut):
    found = images.find_face(astronaut)
    assert found.count == 1 and found.notes == ()
    assert np.abs(found.eyes - EYES_OF_THE_ASTRONAUT).max() < 4
    assert 80 < found.width < 120
    assert found.crop.shape == (SIDE, SIDE, 3)
    again = images.find_face(found.crop)  # framed like a portrait: the crop's crop is the crop
    assert np.abs(again.eyes / SIDE - EYES).max() < 0.02


@pytest.mark.parametrize("scale", [0.6, 4.0])
def test_size_of_the_photograph_does_not_matter(astronaut, scale):
    size = round(512 * scale)
    found = images.find_face(np.asarray(Image.fromarray(astronaut).resize((size, size))))
    assert np.abs(found.eyes / scale - EYES_OF_THE_ASTRONAUT).max() < 5


def test_a_leaning_head_is_turned_upright(astronaut):
    leaning = np.asarray(Image.fromarray(astronaut).rotate(14, Image.Resampling.BICUBIC))
    upright, turned = images.find_face(astronaut).crop, images.find_face(leaning).crop
    middle = slice(SIDE // 4, 3 * SIDE // 4)
    apart = upright[middle, middle].astype(float) - turned[middle, middle]
    assert np.abs(apart).mean() < 16


def test_the_largest_of_several_is_taken_and_told(astronaut):
    face = astronaut[10:230, 110:330]
    small = np.asarray(Image.fromarray(face).resize((130, 130)))
    both = np.full((300, 500, 3), 128, np.uint8)
    both[40:260, 20:240], both[80:210, 330:460] = face, small
    found = images.find_face(both)
    assert found.count == 2 and "2 faces" in found.notes[0]
    assert found.eyes[:, 0].max() < 240


def test_no_face_and_a_face_too_small_are_told(astronaut):
    with pytest.raises(images.UnusablePhotograph, match=r"No face was found on tea\.jpg"):
        images.find_face(data.coffee(), "tea.jpg")
    grey = np.full((40, 30, 3), 90, np.uint8)
    with pytest.raises(images.UnusablePhotograph, match="on the photograph: it should look"):
        images.find_face(grey)
    tiny = np.asarray(Image.fromarray(astronaut).resize((190, 190)))
    with pytest.raises(images.UnusablePhotograph, match=r"only 3\d pixels wide; 48 are needed"):
        images.find_face(tiny)


def test_a_rendered_head_is_found():
    model = Bundle.open().face_model()
    face = model.mesh(torch.zeros_like(model.shape_mean))
    picture = portrait(face, size=200, yaw=10, material=materials(model))
    assert images.find_face(picture).count == 1


def test_photographs_are_turned_as_the_camera_says(astronaut, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right makes it upright
    Image.fromarray(np.rot90(astronaut)).save(path, exif=exif, quality=95)
    found = images.find_face(images.read(path))
    assert np.abs(found.eyes - EYES_OF_THE_ASTRONAUT).max() < 4

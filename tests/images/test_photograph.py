"""Photographs: reading what people have, refusing what is none, scaling as the nets were fed."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from voicemesh import images
from voicemesh.images import CONVENTIONS, Convention, UnusablePhotograph


def png(image: Image.Image, **options) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def test_reads_a_photograph_upright(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    read = images.read(tmp_path / "a.png")
    assert read.shape == (6, 4, 3)
    assert read[0, 3].tolist() == [255, 255, 255]


def test_transparent_deep_and_grey_pictures_become_rgb():
    clear = Image.fromarray(np.zeros((2, 2, 4), np.uint8))
    assert images.read(png(clear)).min() == 255
    palette = Image.new("P", (2, 2))
    assert images.read(png(palette, transparency=0)).min() == 255
    deep = Image.fromarray(np.full((2, 2), 128 * 257, np.uint16))
    assert images.read(png(deep)).tolist() == [[[128] * 3] * 2] * 2
    assert images.read(png(Image.new("L", (2, 2), 7))).max() == 7


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
BROKEN = [
    b"",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    b"hello",
    POSTSCRIPT,
    b"P6 1 1 255\n123",
]


@pytest.mark.parametrize("content", BROKEN)
def test_what_is_no_picture_is_refused_without_its_folder(tmp_path, content):
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    with pytest.raises(UnusablePhotograph, match=r"^face\.jpg cannot be read as a picture$"):
        images.read(path)
    with pytest.raises(UnusablePhotograph, match="The photograph cannot be read"):
        images.read(content)


def test_a_bomb_in_the_words_of_a_picture_is_refused():
    from PIL import PngImagePlugin

    words, opened = PngImagePlugin.PngInfo(), BytesIO()
    words.add_text("story", "a" * 70_000_000, zip=True)
    Image.fromarray(noise(4, 4)).save(opened, "PNG", pnginfo=words)
    assert len(opened.getvalue()) < 200_000
    with pytest.raises(UnusablePhotograph, match="me cannot be read as a picture"):
        images.read(opened.getvalue(), name="me")


def test_half_a_picture_a_missing_one_and_a_huge_one_are_refused(tmp_path, monkeypatch):
    whole = png(Image.fromarray(noise(40, 40)))
    with pytest.raises(UnusablePhotograph, match="me cannot be read"):
        images.read(whole[: len(whole) // 2], name="me")
    with pytest.raises(UnusablePhotograph, match=r"no photograph x\.png"):
        images.read(tmp_path / "x.png")
    monkeypatch.setattr(images.photograph, "PIXELS", 1599)
    with pytest.raises(UnusablePhotograph, match="40 x 40 pixels"):
        images.read(whole)


def test_conventions_differ_in_order_range_and_aspect():
    pixels = np.zeros((30, 20, 3), np.uint8)
    pixels[:, :, 0] = 255  # red
    stretched = images.prepare(pixels, CONVENTIONS["cmpc"])
    assert stretched.shape == (3, 224, 224)
    assert stretched[:, 5, 5].tolist() == [1, -1, -1]
    fitted = images.prepare(pixels, CONVENTIONS["sss"])
    assert fitted.shape == (3, 112, 112)
    assert fitted[:, 50, 56].tolist() == [-1, -1, 1]  # blue first
    assert fitted[:, 50, 0].tolist() == [0, 0, 0]  # beside the picture
    assert images.scale(pixels, CONVENTIONS["sss"]).shape == (3, 112, 74)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (113, 112), (7, 112), (500, 3)])
def test_every_picture_comes_out_square(shape):
    picture = images.prepare(noise(*shape), Convention(16, keep_aspect=True))
    assert picture.shape == (3, 16, 16)
    assert picture.abs().max() <= 1


def test_bilinear_is_the_float_formula_to_a_rounding():
    pixels = noise(13, 29)
    tensor = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    for size in ((26, 58), (5, 40), (13, 29), (1, 1)):
        exact = torch.nn.functional.interpolate(tensor, size, mode="bilinear")[0].permute(1, 2, 0)
        ours = images.bilinear(pixels, size).astype(np.float32)
        assert np.abs(ours - exact.numpy()).max() < 1
        assert abs((ours - exact.numpy()).mean()) < 0.2  # rounded, not cut
    assert np.array_equal(images.bilinear(pixels, (13, 29)), pixels)


def test_square_repeats_the_edge_and_refuses_what_lies_outside():
    pixels = noise(6, 8)
    assert np.array_equal(images.square(pixels, (4, 3), 4), pixels[1:5, 2:6])
    beyond = images.square(pixels, (0, 0), 4)
    assert np.array_equal(beyond[2:, 2:], pixels[:2, :2])
    assert np.array_equal(beyond[0, 0], pixels[0, 0])
    with pytest.raises(ValueError, match="outside a picture of 8 x 6"):
        images.square(pixels, (40, 3), 4)
    assert np.array_equal(images.middle(pixels), pixels[:, 1:7])


def test_what_an_aligned_picture_lacks_is_grey():
    points, targets = np.array([[0.0, 0], [20, 0]]), np.array([[20.0, 20], [40, 20]])
    found = images.align(noise(20, 20), points, targets, 60)
    assert found[5, 5].tolist() == found[55, 30].tolist() == [128, 128, 128]
    assert np.array_equal(found[21:39, 21:39], noise(20, 20)[1:19, 1:19])


def test_similarity_recovers_turn_scale_and_shift():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(5, 2))
    turn = 1.7 * np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    found = images.similarity(points, points @ turn.T + [3.0, -2.0])
    np.testing.assert_allclose(found, np.column_stack([turn, [3.0, -2.0]]), atol=1e-12)
    with pytest.raises(ValueError, match="two different points"):
        images.similarity(np.ones((3, 2)), points[:3])


@pytest.mark.parametrize("scale", [0.8, 5.0])
def test_aligned_points_come_to_lie_on_their_targets(scale):
    """A dot at each of three points of a large photograph is found at its target."""
    targets = np.array([[12.0, 10.0], [30.0, 14.0], [20.0, 33.0]])
    angle = np.exp(0.3j)
    moved = (targets @ [1, 1j] - (20 + 20j)) * angle * scale + (180 + 170j)
    points = np.stack([moved.real, moved.imag], 1)
    y, x = np.mgrid[:340, :360] + 0.5
    reach = 4 * scale**2
    for point, target in zip(points, targets, strict=True):
        dot = np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * reach))
        photograph = np.repeat((255 * dot)[..., None], 3, 2).astype(np.uint8)
        small = images.align(photograph, points, targets, 44)[:, :, 0].astype(float)
        small[small < 40] = 0
        rows, columns = np.mgrid[:44, :44] + 0.5
        centre = [(small * axis).sum() / small.sum() for axis in (columns, rows)]
        np.testing.assert_allclose(centre, target, atol=0.3)

"""Sheets: every picture in its place, white where there is none."""

import numpy as np
from PIL import Image

from voicemesh.images import sheets


def test_pictures_lie_row_by_row():
    pictures = np.random.default_rng(0).integers(0, 255, (5, 2, 3, 3), np.uint8)
    sheet = sheets.tiled(pictures, columns=3)
    assert sheet.shape == (4, 9, 3)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, 3)
        place = sheet[2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
        np.testing.assert_array_equal(place, picture)
    assert (sheet[2:, 6:] == 255).all()


def test_sheets_lie_side_by_side_with_white_between(tmp_path):
    left, right = np.zeros((2, 3, 3), np.uint8), np.full((2, 1, 3), 9, np.uint8)
    both = sheets.beside([left, right], gap=2)
    np.testing.assert_array_equal(both[0, :, 0], [0, 0, 0, 255, 255, 9])
    sheets.save(tmp_path / "deep" / "sheet.png", both)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / "sheet.png")), both)

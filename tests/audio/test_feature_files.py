"""Published feature files: read as they are, anything else refused by name."""

import numpy as np
import pytest

from voicemesh.audio.feature_files import load
from voicemesh.audio.recording import UnusableRecording


@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "i4"])
def test_frames_by_bands_become_bands_by_frames(tmp_path, rng, kind):
    written = (10 * rng.normal(size=(30, 64))).astype(kind)
    np.save(tmp_path / "voice.npy", written)
    read = load(tmp_path / "voice.npy")
    assert read.dtype == np.float32 and read.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(read, written.T.astype(np.float32))
    assert load(str(tmp_path / "voice.npy"), limit=0.2).shape == (64, 20)  # 100 frames a second


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((30, 40)), "frames by 64 bands are needed, it holds 30 by 40"),
        (np.zeros((64, 30)), "it holds 64 by 30"),
        (np.zeros(64), "it holds 64"),
        (np.zeros((0, 64)), "it holds 0 by 64"),
        (np.zeros((2, 64), complex), "holds complex128, not numbers"),
        (np.full((2, 64), np.nan), "numbers that are not finite"),
        (np.full((2, 64), None), "is no array of numbers"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, reason):
    np.save(tmp_path / "voice.npy", array)
    with pytest.raises(UnusableRecording, match=rf"^voice\.npy .*{reason}"):
        load(tmp_path / "voice.npy")


def test_files_that_are_none(tmp_path):
    with pytest.raises(UnusableRecording, match=r"There is no file gone\.npy"):
        load(tmp_path / "gone.npy")
    beyond = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999, 64)}\n"
    torn = b"{'descr': '<f4', 'shape': (3, 64)"
    headers = [b"\x93NUMPY\x01\x00" + bytes([len(h), 0]) + h for h in (beyond, torn, b"(" * 250)]
    for content in (b"", b"\x93NUMPY\x01\x00", b"hello", b"PK\x03\x04hello", *headers):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(UnusableRecording, match=r"x\.npy is no array of numbers"):
            load(tmp_path / "x.npy")
    with (tmp_path / "x.npy").open("wb") as file:
        np.savez(file, a=np.zeros((2, 64)))
    with pytest.raises(UnusableRecording, match=r"x\.npy is no feature file"):
        load(tmp_path / "x.npy")

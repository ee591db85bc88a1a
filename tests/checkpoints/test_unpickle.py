"""Pickled files give their tensors, and never run what else they hold."""

import argparse
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from voicemesh.checkpoints.unpickle import array_file, torch_file


class Intruder:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_plain_values(tmp_path, zipped):
    content = {
        "epoch": 3,
        "state_dict": OrderedDict(a=torch.randn(2, 3), b=torch.zeros(0)),
        "best": np.float64(0.25),
        "args": argparse.Namespace(rate=0.1),
        "history": [np.arange(3.0)],
    }
    torch.save(content, tmp_path / "x.pth.tar", _use_new_zipfile_serialization=zipped)
    read = torch_file(tmp_path / "x.pth.tar")
    torch.testing.assert_close(read["state_dict"]["a"], content["state_dict"]["a"])
    assert (read["epoch"], read["best"], read["args"].rate) == (3, 0.25, 0.1)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_file_does_not_run(tmp_path, zipped):
    victim, path = tmp_path / "victim", tmp_path / "x.pth"
    content = {"a": torch.ones(1), "b": Intruder(victim)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"x\.pth cannot be read .* more than data"):
        torch_file(path)
    assert not victim.exists()


def test_code_in_a_pickle_does_not_run(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"u": Intruder(victim)}))
    with pytest.raises(
        ValueError, match=r"x\.pkl .* names pathlib.*\.touch|getattr.*more than data"
    ):
        array_file(path)
    assert not victim.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_any_protocol(tmp_path, protocol):
    content = {"u": np.random.default_rng(0).normal(size=(6, 1)), "n": np.float32(2), "t": "w"}
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    read = array_file(path)
    np.testing.assert_array_equal(read["u"], content["u"])
    assert (read["n"], read["t"]) == (2, "w")


def test_arrays_written_by_older_numpy(tmp_path):
    written = pickle.dumps(np.arange(4), 2).replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "x.pkl").write_bytes(written)
    assert array_file(tmp_path / "x.pkl").tolist() == [0, 1, 2, 3]


def test_arrays_written_by_python_2(tmp_path):
    # Protocol 2 of Python 2 keeps an array's bytes as a string.
    array = np.array([-1.5, 1e300])
    written = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
    )
    (tmp_path / "x.pkl").write_bytes(written + array.tobytes() + b"tb.")
    np.testing.assert_array_equal(array_file(tmp_path / "x.pkl"), array)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x02}q", bytes(range(256))])
@pytest.mark.parametrize("read", [torch_file, array_file])
def test_files_that_are_none(tmp_path, content, read):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="x cannot be read as"):
        read(tmp_path / "x")


def test_a_torn_torch_file(tmp_path):
    torch.save({"a": torch.randn(100)}, tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"x\.pth cannot be read as tensors"):
        torch_file(tmp_path / "x.pth")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as plain:
        content = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, value in content.items():
            bomb.writestr(name, value)
    assert len(torch_file(tmp_path / "x.pth")["a"]) == 1000
    with pytest.raises(ValueError, match=r"bomb\.pth cannot .* would unpack to \d,\d+"):
        torch_file(tmp_path / "bomb.pth")


def test_sizes_that_lie(tmp_path):
    torch.save({"a": torch.zeros(4)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "x.pth").read_bytes()
    small, huge = b"K\x04\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x40\x85"  # (4,), (2**46,)
    assert small in content
    (tmp_path / "x.pth").write_bytes(content.replace(small, huge))
    with pytest.raises(ValueError, match=r"x\.pth cannot be read as tensors"):
        torch_file(tmp_path / "x.pth")
    written = pickle.dumps(np.zeros(4), 2)
    assert written.count(b"K\x04\x85") == 1
    (tmp_path / "x.pkl").write_bytes(written.replace(b"K\x04\x85", huge))
    with pytest.raises(ValueError, match=r"x\.pkl cannot be read as arrays"):
        array_file(tmp_path / "x.pkl")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_files_that_came_in_part(tmp_path, zipped, share):
    whole, torn = tmp_path / "whole.pth", tmp_path / "torn.pth"
    torch.save({"a": torch.randn(2000)}, whole, _use_new_zipfile_serialization=zipped)
    content = whole.read_bytes()
    torn.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"torn\.pth cannot be read as tensors: ") as error:
        torch_file(torn)
    assert "weights_only" not in str(error.value)
    whole.write_bytes(pickle.dumps({"a": 1}, 0))
    with pytest.raises(ValueError, match="torn, or an old pickle that torch does not read"):
        torch_file(whole)


def test_archives_and_missing_files(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"x")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "x.pth", "x.pth")
    with pytest.raises(ValueError, match="is an archive of files"):
        torch_file(tmp_path / "x.tar")
    with pytest.raises(ValueError, match="There is no file"):
        torch_file(tmp_path / "gone.pth")
    with pytest.raises(ValueError, match="is a folder; name the published file in it"):
        torch_file(tmp_path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["<f4", ">f8", "i8", "u1", "?", "f2"])
def test_arrays_are_what_they_were(tmp_path, protocol, kind):
    array = (np.arange(24).reshape(2, 3, 4) - 2).astype(kind)
    content = {"c": array, "f": np.asfortranarray(array), "none": array[:, :0], "n": array[0, 0, 3]}
    content["both"] = [content["c"], (content["c"], array.dtype)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol))
    read = array_file(tmp_path / "x.pkl")
    for name in ("c", "f", "none", "n"):
        np.testing.assert_array_equal(read[name], content[name], strict=True)
    assert read["f"].flags["F_CONTIGUOUS"] and read["c"].flags["WRITEABLE"]
    assert read["both"][0] is read["c"] and read["both"][1] == (read["c"], array.dtype)


def lied(content, honest, lie):
    assert honest in content
    return content.replace(honest, lie)


@pytest.mark.parametrize(
    ("honest", "lie"),
    [
        (b"(K\x03X\x01\x00\x00\x00<", b"(K\x03\x80N"),  # what numpy itself reads past
        (b"<q\x11NNN", b"<q\x11NN}"),
        (b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8"),
        (b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00V8"),
        (b"K\x01K\x04\x85", b"K\x01K\x05\x85"),
        (b"K\x01K\x04\x85", b"K\x01J\xff\xff\xff\xff\x85"),
        (b"K\x01K\x04\x85", b"K\x01N\x85"),
    ],
)
def test_arrays_that_lie_of_themselves(tmp_path, honest, lie):
    written = pickle.dumps({"u": np.arange(4.0)}, 2)
    (tmp_path / "x.pkl").write_bytes(lied(written, honest, lie))
    with pytest.raises(ValueError, match=r"x\.pkl cannot be read as arrays"):
        array_file(tmp_path / "x.pkl")
    torch.save({"u": np.arange(4.0)}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "x.pt").read_bytes()
    if honest in content:
        (tmp_path / "x.pt").write_bytes(lied(content, honest, lie))
        with pytest.raises(ValueError, match=r"x\.pt cannot be read as tensors"):
            torch_file(tmp_path / "x.pt")


def test_a_pickle_cannot_change_what_reads_it(tmp_path):
    # numpy.dtype is named, and then told another state.
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02cnumpy\ndtype\nN}U\x04makeNs\x86b.")
    with pytest.raises(ValueError, match="it changes what makes its arrays"):
        array_file(tmp_path / "x.pkl")
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02]q\x00h\x00a.")  # a list that holds itself
    read = array_file(tmp_path / "x.pkl")
    assert read[0] is read


@pytest.mark.parametrize("content", [b"\x80\x02]r\xff\xff\xff\x7f.", b"]p2147483647\n."])
def test_things_kept_under_far_numbers(tmp_path, content):
    # Python would make room for two thousand million things.
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="keeps a thing under the number 2147483647"):
        array_file(tmp_path / "x.pkl")

"""Torch files of protocols that torch does not read give the same tensors, and run nothing."""

import argparse
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from voicemesh.checkpoints.plain_tensors import FLOATS, OTHERS, WHOLES
from voicemesh.checkpoints.unpickle import plain_pickle, torch_file

LATER = range(3, pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture(params=[True, False], ids=["zipped", "older"])
def zipped(request) -> bool:
    return request.param


def saved(content, path: Path, protocol: int, zipped: bool) -> Path:
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return path


class Intruder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", LATER)
def test_later_protocols_give_the_same(tmp_path, protocol, zipped):
    numbers = torch.arange(12.0)
    tensors = {
        "whole": numbers,
        "cut": numbers.view(3, 4).T[1:],
        "wide": torch.ones(1).expand(5),
        "none": torch.zeros(0),
        "one": torch.tensor(3),
        "truths": torch.tensor([True, False]),
        "short": torch.arange(3).bfloat16(),
        "unsigned": torch.arange(3).to(torch.uint16),
        "learnt": nn.Parameter(torch.randn(2)),
    }
    plain = {
        "epoch": 3,
        "letters": {"a", "b"},
        "bytes": b"\x00\xff" * 200,
        "dtype": torch.float16,
        "history": defaultdict(list, loss=[1.5]),
        "norm": nn.BatchNorm1d(2).state_dict(),
    }
    content = {**tensors, **plain, "args": argparse.Namespace(means=[np.arange(3)])}
    path = saved(content, tmp_path / "x.pkl", protocol, zipped)
    assert not plain_pickle(path)
    read = torch_file(path)
    assert list(read) == list(content)
    for name, tensor in tensors.items():
        torch.testing.assert_close(read[name], tensor.detach(), rtol=0, atol=0)
        assert read[name].stride() == tensor.stride()
    assert read["cut"].untyped_storage().data_ptr() == read["whole"].untyped_storage().data_ptr()
    for name in plain.keys() - {"norm"}:
        assert read[name] == plain[name]
    assert isinstance(read["norm"], OrderedDict) and read["norm"]["weight"].tolist() == [1, 1]
    assert read["args"].means[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", [name for name in (FLOATS | WHOLES | OTHERS)])
def test_numbers_of_every_kind(tmp_path, kind, zipped):
    """Each is read as the kind that torch's own name of its storage stands for."""
    made = getattr(torch, f"{kind}Storage")
    tensor = torch.tensor([0, 1, 0, 1] if kind == "Bool" else [0, 1, 2, 100]).to(made.dtype)
    read = torch_file(saved(tensor, tmp_path / "x.pth", 3, zipped))
    torch.testing.assert_close(read, tensor, rtol=0, atol=0)


def test_the_other_order_of_bytes_is_refused(tmp_path):
    path, told = saved(torch.arange(4.0), tmp_path / "x.pth", 3, True), tmp_path / "told.pth"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(told, "w") as other:
        for name in archive.namelist():
            other.writestr(name, b"big" if name.endswith("byteorder") else archive.read(name))
        assert any(name.endswith("byteorder") for name in archive.namelist())
    with pytest.raises(ValueError, match="it has no order of bytes b'big'"):
        torch_file(told)


@pytest.mark.parametrize("protocol", LATER)
def test_code_does_not_run(tmp_path, protocol, zipped):
    victim = tmp_path / "victim"
    path = saved([torch.ones(1), Intruder(victim)], tmp_path / "x.pth", protocol, zipped)
    with pytest.raises(ValueError, match=r"x\.pth cannot be read as tensors.* more than data"):
        torch_file(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("honest", "lie"),
    [
        (b"K\x00K\x04\x85", b"K\x01K\x04\x85"),  # offset, size
        (b"K\x00K\x04\x85", b"K\x00K\x05\x85"),
        (b"K\x00K\x04\x85", b"K\x00N\x85"),
        (b"K\x00K\x04\x85", b"K\x00J\xff\xff\xff\xff\x85"),
        (b"q\x04K\x04t", b"q\x04K\x05t"),  # numbers in the storage
        (b"FloatStorage", b"FloatStorbge"),
        (b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00strange"),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
    ],
)
def test_tensors_that_lie_of_themselves(tmp_path, honest, lie):
    path, told = saved(torch.arange(4.0), tmp_path / "x.pth", 3, True), tmp_path / "told.pth"
    for wanted in (honest, lie):
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(told, "w") as other:
            for name in archive.namelist():
                content = archive.read(name)
                if name.endswith("data.pkl"):
                    assert content.count(honest) == 1
                    content = content.replace(honest, wanted)
                other.writestr(name, content)
        if wanted is honest:
            assert torch_file(told).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"told\.pth cannot be read as tensors: (it|\d)"):
        torch_file(told)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_files_that_came_in_part(tmp_path, share, zipped):
    path = saved({"a": torch.randn(2000)}, tmp_path / "x.pth", 4, zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"x\.pth cannot be read as tensors: "):
        torch_file(path)


def test_a_pickle_that_is_none_of_torch(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"".join(pickle.dumps(word, 4) for word in (1, 2, {}, 4, [])))
    with pytest.raises(ValueError, match="it is a pickle, but none of torch"):
        torch_file(tmp_path / "x.pth")


def test_nothing_of_a_class_can_be_set(tmp_path):
    # argparse.Namespace is named, and then told another attribute.
    words = b"\x80\x04cargparse\nNamespace\nN}\x8c\x07changedK\x01s\x86b."
    path = saved([], tmp_path / "x.pth", 4, True)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, words if name.endswith("data.pkl") else value)
    torch_file(path)
    assert not hasattr(argparse.Namespace, "changed")

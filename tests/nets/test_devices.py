"""Devices: the best one unasked, a word on what is wrong with others."""

import contextlib
import logging

import pytest
import torch

from voicemesh.nets import devices


def test_a_named_device_is_taken_and_none_is_the_best():
    assert devices.chosen("cpu") == torch.device("cpu")
    assert devices.chosen(torch.device("cpu")) == torch.device("cpu")
    assert devices.chosen().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "", "meta:1:2", "meta"])
def test_other_devices_are_refused_with_a_word(name):
    with pytest.raises(ValueError, match=r"cannot be used: .+; choose cpu"):
        devices.chosen(name)


def test_a_gpu_that_does_not_work_is_left_with_one_word(monkeypatch, caplog):
    def broken(device):
        raise RuntimeError("CUDA error: no kernel image is available\nfor execution")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_try", broken)
    devices._first.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert devices.chosen() == devices.chosen() == torch.device("cpu")
    devices._first.cache_clear()
    assert caplog.messages == [
        "The GPU cannot be used, so the CPU is: CUDA error: no kernel image is available"
    ]


def test_a_device_that_fails_without_a_word_is_refused_with_one(monkeypatch):
    def silent(device):
        raise RuntimeError

    monkeypatch.setattr(devices, "_try", silent)
    with pytest.raises(ValueError, match=r"cannot be used: RuntimeError; choose cpu"):
        devices.chosen("cpu")


def test_bfloat16_that_is_only_pretended_is_not_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert devices.knows_bfloat16("cpu")
    assert not devices.knows_bfloat16("cuda")

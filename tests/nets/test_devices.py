"""Devices: the best one unasked, a word on what is wrong with others."""

import pytest
import torch

from voicemesh.nets import devices


def test_a_named_device_is_taken_and_none_is_the_best():
    assert devices.chosen("cpu") == torch.device("cpu")
    assert devices.chosen(torch.device("cpu")) == torch.device("cpu")
    assert devices.chosen().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "", "meta:1:2"])
def test_other_devices_are_refused_with_a_word(name):
    with pytest.raises(ValueError, match=r"cannot be used: .+; choose cpu"):
        devices.chosen(name)

"""Set-up of the whole suite: devices, interpreted Triton, checked shapes, seeded numbers."""

import os

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before a kernel module is imported
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ["HF_HUB_OFFLINE"] = "1"  # whatever the machine says: no test may fetch

from jaxtyping import install_import_hook

install_import_hook("voicemesh", "typecheck.check")


def pytest_addoption(parser):
    parser.addoption("--cases", default=None, help="folder of conformance cases to run")


@pytest.fixture
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Only kernels and what is marked so may use a GPU: all else is held against CPU tensors."""
    if "kernels" in item.path.parts or item.get_closest_marker("cuda"):
        return (yield)
    known, torch.cuda.is_available = torch.cuda.is_available, lambda: False
    try:
        return (yield)
    finally:
        torch.cuda.is_available = known


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)

"""Names of the Hub, its cache, and being offline; nothing here reaches the network."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from voicemesh.checkpoints import hub
from voicemesh.checkpoints.bundle import Bundle, BundleWriter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Path:
    """A repository as the Hub's client keeps it: snapshots of links to blobs."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--ann--small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    BundleWriter(tmp_path / "made", "small").tensors("numbers", {"a": torch.ones(2)})
    (repository / "blobs").mkdir()
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for path in (tmp_path / "made").iterdir():
        path.rename(repository / "blobs" / path.name)
        (snapshot / path.name).symlink_to(repository / "blobs" / path.name)
    return snapshot


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("ann/small", True),
        ("ann/small.v1@main", True),
        (f"ann/small@{COMMIT}", True),
        ("small", False),
        ("ann/small/more", False),
        ("../small", False),
        ("/ann/small", False),
        ("ann/small@", False),
    ],
)
def test_names(text, yes):
    assert hub.is_name(text) is yes


@pytest.mark.parametrize("where", ["ann/small", "ann/small@main", f"ann/small@{COMMIT}"])
def test_a_cached_bundle_opens_offline(cached, where):
    assert Bundle.open(where).tensors("numbers")["a"].tolist() == [1, 1]


def test_a_bundle_that_is_nowhere(cached):
    with pytest.raises(ValueError, match=r"ann/other is not in the local cache and .* reached"):
        Bundle.open("ann/other")


def test_a_cached_bundle_with_a_hole_is_not_used(cached):
    (cached / "numbers.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks the file"):
        Bundle.open("ann/small")


def test_a_folder_goes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    BundleWriter("ann/small", "here").tensors("numbers", {"a": torch.zeros(1)})
    assert Bundle.open("ann/small").name == "here"

"""Names of the Hub, its cache, and being offline; nothing here reaches the network."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from voicemesh.checkpoints import hub
from voicemesh.checkpoints.bundle import Bundle, BundleWriter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def keep(repository: Path, made: Path, name: str, commit: str, number: float) -> Path:
    """One revision of a repository as the Hub's client keeps it: a snapshot of links to blobs."""
    BundleWriter(made, "small").tensors("numbers", {"a": torch.full((2,), number)})
    snapshot = repository / "snapshots" / commit
    for folder in (repository / "refs", repository / "blobs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / name).write_text(commit)
    for path in made.iterdir():
        blob = path.rename(repository / "blobs" / f"{commit}-{path.name}")
        (snapshot / path.name).symlink_to(blob)
    return snapshot


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Path:
    """A cache with the branch `main` and the tag `v1` of ann/small; the snapshot of `main`."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--ann--small"
    keep(repository, tmp_path / "made", "v1", COMMIT[::-1], 7)
    return keep(repository, tmp_path / "made", "main", COMMIT, 1)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("ann/small", True),
        ("ann/small.v1@main", True),
        (f"ann/small@{COMMIT}", True),
        ("ann/small@refs/pr/3", True),
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


def test_revisions_are_apart(cached):
    assert Bundle.open("ann/small@v1").tensors("numbers")["a"].tolist() == [7, 7]


def test_the_network_is_asked_only_for_what_the_cache_lacks(cached, tmp_path, monkeypatch):
    whole, asked = keep(tmp_path / "net", tmp_path / "made", "main", COMMIT, 3), []

    def download(local_files_only: bool = False, **place: object) -> str:
        asked.append(local_files_only)
        return str(cached if local_files_only else whole)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert Bundle.open("ann/small").tensors("numbers")["a"].tolist() == [1, 1]
    assert asked == [True]
    (cached / "numbers.safetensors").unlink()
    assert Bundle.open("ann/small").tensors("numbers")["a"].tolist() == [3, 3]
    assert asked == [True, True, False]


def test_a_bundle_that_is_nowhere(cached):
    with pytest.raises(ValueError, match=r"no folder ann/other; .* not in the local cache"):
        Bundle.open("ann/other")


def test_a_cached_bundle_with_a_hole_is_not_used(cached):
    (cached / "numbers.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks the file"):
        Bundle.open("ann/small")


def test_a_folder_goes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    BundleWriter("ann/small", "here").tensors("numbers", {"a": torch.zeros(1)})
    assert Bundle.open("ann/small").name == "here"

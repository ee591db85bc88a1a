"""What leaves a bundle when the nets that it was made for are replaced."""

import json
import logging
from pathlib import Path

import pytest
import torch
from whole_bundles import write_whole_bundle

from voicemesh.checkpoints.bundle import MANIFEST, Bundle, BundleWriter
from voicemesh.systems import outdated


@pytest.fixture
def writer(tmp_path) -> BundleWriter:
    writer = BundleWriter(write_whole_bundle(tmp_path / "whole"), "untrained")
    writer.tensors("voicestyle-start", {"directions": torch.ones(2)})
    return writer


def replace(writer: BundleWriter, *parts: str) -> None:
    """The same nets with other weights."""
    opened = Bundle.open(writer.bundle.folder)
    nets = {part: opened.net(part) for part in parts}
    for part, net in nets.items():
        with torch.no_grad():
            for value in net.parameters():
                value.add_(0.01)
        writer.net(part, net, opened.part(part).arguments)


def left(writer: BundleWriter, before: dict[str, str]) -> set[str]:
    return before.keys() - Bundle.open(writer.bundle.folder).parts.keys()


def test_nothing_leaves_where_nothing_is_replaced(writer, caplog):
    before = outdated.digests(writer)
    writer.tensors("voicestyle-members", {"w": torch.ones(2)})
    outdated.retire(writer, before)
    assert not left(writer, before) and not caplog.records


def test_what_spoke_the_embedding_of_another_voice_encoder_leaves(writer, caplog):
    before = outdated.digests(writer)
    replace(writer, "cmp-voice-encoder")
    outdated.retire(writer, before)
    images, readings = {"cmp-generator", "cmp-student"}, {"cmp-supervised-head", "cmp-repeats"}
    others = {"cmp-feature-encoder", "cmp-statistics", "voice-traits"} & before.keys()
    assert left(writer, before) == images | readings | others
    assert "cmp-generator leaves the bundle: it was made for other nets" in caplog.text


def test_what_is_written_beside_its_nets_stays(writer):
    before = outdated.digests(writer)
    replace(writer, "cmpc-voice-encoder", "cmpc-face-encoder")
    writer.tensors("voicestyle-start", {"directions": torch.zeros(2)})
    outdated.retire(writer, before)
    assert not left(writer, before)


def test_what_was_fitted_in_another_bundle_leaves_too(writer, tmp_path, caplog):
    other = Bundle.open(write_whole_bundle(tmp_path / "other", seed=1))
    folder = writer.bundle.folder
    writer = BundleWriter(folder, "untrained", fitted_in=other)
    before = outdated.digests(writer)
    writer.tensors("voicestyle-start", {"directions": torch.zeros(2)})
    outdated.retire(writer, before)
    assert left(writer, before) == {"voicestyle-start"}


def test_new_encoders_end_starts_and_tell_of_the_gallery(writer, caplog):
    before = outdated.digests(writer)
    replace(writer, "cmpc-voice-encoder")
    with caplog.at_level(logging.WARNING):
        outdated.retire(writer, before)
    assert left(writer, before) == {"cmpc-face-encoder", "voicestyle-start"}
    assert "was embedded in 'cmpc' by another cmpc-voice-encoder" in caplog.text
    assert Bundle.open(writer.bundle.folder).gallery_folder is not None


def told_nothing(folder: Path) -> None:
    """As bundles were before parts said what they were fitted to."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for part in manifest["parts"].values():
        part.pop("fitted_to", None)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_older_parts_leave_with_any_net_that_they_rest_on(writer):
    folder = writer.bundle.folder
    told_nothing(folder)
    writer = BundleWriter(folder, "untrained")
    before = outdated.digests(writer)
    replace(writer, "cmp-generator")
    outdated.retire(writer, before)
    assert left(writer, before) == {"cmp-student"}


def test_a_net_that_comes_back_ends_nothing_that_was_fitted_to_it(writer):
    folder = writer.bundle.folder
    opened = Bundle.open(folder)
    net, part = opened.net("cmpc-voice-encoder"), opened.part("cmpc-voice-encoder")
    writer.forget("cmpc-voice-encoder")
    before = outdated.digests(writer)
    writer.net("cmpc-voice-encoder", net, part.arguments)
    outdated.retire(writer, before)
    assert not left(writer, before)

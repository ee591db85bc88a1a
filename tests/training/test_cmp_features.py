"""A student that reads published features beside the encoder of a bundle."""

from dataclasses import replace

import pytest
import torch
from bundles import write_bundle
from evaluation.toys import toy_face_model, toy_population

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation import expectation
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.training import cmp_features
from voicemesh.training.loop import read_metrics

SMALL = replace(
    cmp_features.RECIPES["bundle"], widths=(8, 8, 8, 8), steps=80, batch_size=16, learning_rate=2e-2
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    toy_population(where, identities=30, validation=20)
    return where


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return Bundle.open(write_bundle(tmp_path_factory.mktemp("bundle"), toy_face_model()))


@pytest.fixture(scope="module")
def run(folder, bundle, tmp_path_factory):
    where = tmp_path_factory.mktemp("run")
    cmp_features.start(folder, where, SMALL, bundle)
    return where


def test_the_student_comes_nearer(run):
    lines = [line for line in read_metrics(run / "metrics.jsonl") if "validation/apart" in line]
    assert lines[-1]["validation/apart"] < 0.1  # unlearnt, more than .6


def test_a_run_becomes_a_part_that_reads_features(run, folder, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    folder_of = write_bundle(tmp_path / "whole", toy_face_model())
    writer = BundleWriter(folder_of, "whole")
    table = cmp_features.publish(run, Population.open(folder), bundle, writer)
    assert "bigonial" in table
    system = CrossModalPerceptionist.from_bundle(Bundle.open(folder_of))
    speech = torch.randn(1, 40_000)
    told = system.perceive_published(FRONT_ENDS["cmp"](speech))
    heard = system.perceive(speech)
    assert float((told.embedding * heard.embedding).sum()) > 0.7


def test_a_folder_without_a_run_is_refused(folder, bundle, tmp_path):
    writer = BundleWriter(tmp_path / "out", "out")
    with pytest.raises(ValueError, match="train until the first validation"):
        cmp_features.publish(tmp_path, Population.open(folder), bundle, writer)

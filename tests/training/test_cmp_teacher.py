"""The image teacher: poses, losses, a small run from portraits to a part of a bundle."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_face_model, toy_population

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.evaluation.statistics import people_statistics
from voicemesh.evaluation.targets import people_targets
from voicemesh.nets.synergynet import POSE, Pose
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, build
from voicemesh.systems.cmp_unsupervised import FaceReader
from voicemesh.training.cmp_teacher import BUNDLE, TeacherTask, look_scales, pose_of, start
from voicemesh.training.cmp_teacher_publish import as_stored, publish, trained
from voicemesh.training.loop import read_metrics

SMALL = replace(BUNDLE, width=0.25, size=32, steps=4, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    population = toy_population(where, identities=6, validation=4)
    build(population, toy_face_model(), PortraitRecipe(pictures=2, size=32))
    return where


@pytest.fixture(scope="module")
def bundle(folder, tmp_path_factory):
    """The toys' face model and the means of the toys' people."""
    where, face_model = tmp_path_factory.mktemp("bundle"), toy_face_model()
    population = Population.open(folder)
    targets = people_targets(population.people, face_model)
    writer = BundleWriter(where, "toys")
    writer.face_model(face_model, compact=False)
    writer.tensors("cmp-statistics", people_statistics(targets, population.train, face_model))
    return Bundle.open(where)


def task(folder, recipe=SMALL):
    portraits = PortraitSet.open(folder / "portraits-32")
    held_out = portraits.gathered("validation")
    return TeacherTask(recipe, portraits.gathered("train"), held_out, toy_face_model())


def test_the_pose_of_a_camera_projects_as_it_does():
    camera = torch.randn(3, 3, 4)
    rotation = torch.linalg.qr(torch.randn(3, 3, 3)).Q
    camera[:, :, :3] = 0.4 * rotation * torch.tensor([1.0, -1.0, 1.0])[:, None]
    points = torch.randn(3, 7, 3)
    seen = points @ camera[:, :, :3].mT + camera[:, None, :, 3]
    pose = Pose.of(pose_of(camera))
    told = pose.image(points * 1000 * pose.scale[:, None, None])
    torch.testing.assert_close(told[..., :2], seen[..., :2], atol=1e-4, rtol=1e-4)


def test_the_truth_has_no_loss(folder):
    task_ = task(folder)
    nets, batch = task_.net.eval(), task_.batch(np.random.default_rng(0))
    net = nets.teacher
    pose = (batch["pose"] - net.pose_mean) / net.pose_deviation
    params = torch.cat([pose, batch["shape"], batch["expression"], batch["looks"]], 1)
    told = net(batch["image"])
    net.forward = lambda image: told._replace(params=params)
    losses = nets(batch)
    assert all(value < 1e-5 for value in losses.values()), losses


def test_poses_are_whitened_over_crops(folder):
    task_ = task(folder)
    net = task_.net.teacher
    poses = torch.cat([task_.batch(np.random.default_rng(s))["pose"] for s in range(60)])
    white = (poses - net.pose_mean) / net.pose_deviation
    assert white.mean(0).abs().max() < 0.4 and (white[:, :11].std(0) - 1).abs().max() < 0.5
    assert net.pose_mean.shape == (POSE,)


def test_few_portraits_are_drawn_again(folder):
    batch = task(folder, replace(SMALL, batch_size=20)).batch(np.random.default_rng(0))
    assert len(batch["image"]) == 20  # of 12


def test_looks_that_all_share_are_no_reason_to_explode(folder):
    portraits = PortraitSet.open(folder / "portraits-32").gathered("train")
    portraits.look[:, 0] = 0.25
    middle, spread = look_scales(portraits)
    assert (middle[0], spread[0]) == (0.25, 1.0)
    white = (portraits.look - middle) / spread
    np.testing.assert_allclose(white[:, 1:].std(0).max(), 1, atol=1e-3)


def test_a_step_lowers_the_loss(folder):
    task_ = task(folder)
    batch = task_.batch(np.random.default_rng(0))
    before = task_.net(batch)["loss"]
    for _ in range(5):
        losses = task_.net(batch)
        losses["loss"].backward()
        task_.optimiser.step()
        task_.optimiser.zero_grad()
    assert losses["loss"] < before


def test_from_a_folder_to_a_part(folder, bundle, tmp_path):
    best = start(folder, tmp_path / "run", SMALL, bundle)
    assert best["step"] == 4 and read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 4
    net, recipe = trained(tmp_path / "run", bundle.face_model())
    assert recipe == SMALL
    table = publish(
        tmp_path / "run", Population.open(folder), bundle, BundleWriter(tmp_path / "out", "part")
    )
    assert "sex by mesh" in table and "direction_1" in table
    part = Bundle.open(tmp_path / "out")
    assert part.part("cmp-teacher").results["pictures"] == 8
    reader = FaceReader.of_photographs(part, bundle.face_model())
    image = torch.rand(2, 3, 50, 50)
    as_stored(net)
    torch.testing.assert_close(
        reader.read(image).shape_params,
        FaceReader(net, bundle.face_model()).read(image).shape_params,
    )


def test_runs_without_a_validation_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no best\.safetensors"):
        trained(tmp_path, toy_face_model())

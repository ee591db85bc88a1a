"""The unsupervised framework: who learns from what, batches, a run from data to parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_face_model, toy_population
from safetensors.torch import load_file

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.evaluation.statistics import people_statistics
from voicemesh.evaluation.targets import people_targets
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.nets.synergynet import SynergyNet
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, build
from voicemesh.population.portraits import LOOKS
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.training import cmp_readings, cmp_unsupervised
from voicemesh.training.cmp_readings import Faces
from voicemesh.training.cmp_unsupervised import UnsupervisedTask, start
from voicemesh.training.cmp_unsupervised_nets import BUNDLE, UnsupervisedNets, UnsupervisedRecipe
from voicemesh.training.cmp_unsupervised_publish import publish, trained
from voicemesh.training.voices import voice_codes

SMALL = replace(
    BUNDLE, generator=(8, 8, 8, 8, 8), critic=(4, 4, 4, 4, 4), size=32, steps=3, batch_size=4
)
PUBLISHED = replace(
    UnsupervisedRecipe(), generator=SMALL.generator, critic=SMALL.critic, size=32, batch_size=4
)
EMBEDDING = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    population = toy_population(where, identities=6, validation=4)
    build(population, toy_face_model(), PortraitRecipe(pictures=2, size=32))
    return where


def small_teacher() -> SynergyNet:
    torch.manual_seed(3)
    net = SynergyNet(40, 10, len(LOOKS), 0.1).eval()
    net.pose_mean[[0, 5, 10]] = 6e-4
    net.pose_deviation.fill_(1e-5)
    return net


@pytest.fixture(scope="module")
def bundle(folder, tmp_path_factory):
    """Untrained nets around the toys' face model."""
    where, face_model = tmp_path_factory.mktemp("bundle"), toy_face_model()
    population = Population.open(folder)
    targets = people_targets(population.people, face_model)
    writer = BundleWriter(where, "toys")
    writer.face_model(face_model, compact=False)
    writer.tensors("cmp-statistics", people_statistics(targets, population.train, face_model))
    torch.manual_seed(2)
    for name, net, arguments in (
        ("cmp-voice-encoder", VoiceEncoder(112, (8, 8), EMBEDDING), None),
        ("cmp-supervised-head", SupervisedHead(EMBEDDING), None),
        ("voice-traits", VoiceTraits(EMBEDDING), {"embedding": EMBEDDING}),
        ("cmp-teacher", small_teacher(), None),
    ):
        writer.net(name, net, arguments or arguments_of(net))
    return Bundle.open(where)


@pytest.fixture(scope="module")
def voices(folder, bundle):
    encoder = bundle.net("cmp-voice-encoder")
    return voice_codes(Population.open(folder), encoder, "voicemesh")


def task(folder, voices, recipe=SMALL):
    portraits = PortraitSet.open(folder / "portraits-32")
    population, face_model = Population.open(folder), toy_face_model()
    return UnsupervisedTask(recipe, population, voices, portraits, small_teacher(), face_model)


def moved_by(net, batch, term):
    """Which of the nets get a gradient of one term of the losses."""
    net.zero_grad()
    net(batch)[term].backward()
    parts = {"generator": net.generator, "judge": net.judge, "student": net.student}
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    }


def test_few_people_are_drawn_again(folder, voices):
    task_ = task(folder, voices, replace(SMALL, batch_size=20))
    batch = task_.batch(np.random.default_rng(0))  # of 6 people
    assert len(batch["unit"]) == 20 and torch.isfinite(task_.net(batch)["loss"])


@pytest.mark.parametrize("recipe", [SMALL, PUBLISHED])
def test_everyone_learns_of_their_own_losses(folder, voices, recipe):
    task_ = task(folder, voices, recipe)
    net, batch = task_.net.train(), task_.batch(np.random.default_rng(0))
    assert moved_by(net, batch, "judging") == {"judge"}
    assert moved_by(net, batch, "knowing") == {"judge"}
    assert moved_by(net, batch, "adversarial") == {"generator"}
    assert moved_by(net, batch, "identity") == {"generator"}
    assert moved_by(net, batch, "picture") == {"generator"}
    for term in ("mesh", "pooled", "middle", "triplet", "reading"):
        assert "student" in moved_by(net, batch, term) and "judge" not in moved_by(net, batch, term)
    assert all(p.grad is None for p in net.teacher.parameters()) and not net.teacher.training


def test_a_student_that_is_its_teacher_has_nothing_to_learn(folder, voices):
    net = task(folder, voices).net
    assert net.state_dict().keys() >= {"student.pose_mean", "teacher.pose_mean"}
    losses = net.eval()(task(folder, voices).batch(np.random.default_rng(1)))
    for term in ("mesh", "pooled", "middle"):
        assert losses[term].abs() < 1e-15
    fresh = task(folder, voices, replace(SMALL, student_from_teacher=False)).net.eval()
    assert fresh(task(folder, voices).batch(np.random.default_rng(1)))["mesh"] > 1e-13


def test_batches_are_pairs_of_recordings_with_the_persons_portrait(folder, voices):
    task_ = task(folder, voices)
    portraits = PortraitSet.open(folder / "portraits-32").gathered("train")
    batch = task_.batch(np.random.default_rng(2))
    assert batch["unit"].shape == (4, EMBEDDING) and batch["faces"].shape == (2, 3, 64, 64)
    heard = voices.codes[~voices.clean]
    rows = (heard / np.linalg.norm(heard, axis=1, keepdims=True))[:, None]
    nearest = np.abs(rows - batch["unit"].numpy()).sum(2).argmin(0)
    whose = voices.identity[~voices.clean][nearest]
    assert whose[0] == whose[1] != whose[2] == whose[3]
    frontal = cmp_readings.halved(torch.from_numpy(portraits.pixels[0::2]))
    for row in range(4):
        expected = cmp_readings.scaled(frontal[whose[row : row + 1]])
        torch.testing.assert_close(batch["portrait"][row : row + 1], expected)
    clean = voices.identity[voices.clean]
    assert len(clean) and not any(
        np.isin(own, np.flatnonzero(voices.clean)).any() for own in task_._heard
    )


def test_readings_are_the_means_over_a_persons_portraits(folder):
    portraits, teacher = PortraitSet.open(folder / "portraits-32"), small_teacher()
    told = cmp_readings.readings(portraits, "train", teacher)
    faces = Faces.of(portraits, "train", teacher, frontal=True)
    torch.testing.assert_close(faces.readings, told.unflatten(0, (6, 2)).mean(1))
    assert [list(rows) for rows in faces.pictures] == [[2 * person] for person in range(6)]
    every = Faces.of(portraits, "train", teacher, frontal=False)
    assert list(every.pictures[1]) == [2, 3]
    teacher.backbone.forward = None  # what is on disk is not read again
    torch.testing.assert_close(cmp_readings.readings(portraits, "train", teacher), told)


def test_held_out_people_are_in_no_table(folder, voices):
    task_ = task(folder, voices, PUBLISHED)
    task_.net.eval()
    with torch.inference_mode():
        measured = task_.validate(torch.device("cpu"))
    assert measured["identity"] == measured["knowing"] == 0
    assert measured["selection"] == measured["mesh"] > 0
    assert measured["selection"] != measured["reading"]


def test_rates_fall_only_if_asked_to(folder, voices):
    for recipe, last in ((replace(SMALL, steps=100), 0.02), (PUBLISHED, 1.0)):
        net = task(folder, voices, recipe).net
        optimiser, schedule = cmp_unsupervised.optimiser_of(recipe, net)
        factor = schedule.lr_lambdas[0]
        assert factor(recipe.steps - 1) == pytest.approx(last, rel=0.01)
        rates = [group["initial_lr"] / recipe.learning_rate for group in optimiser.param_groups]
        assert rates == [1.0, recipe.student_rate, recipe.critic_rate]


def test_from_a_folder_to_parts(folder, bundle, tmp_path):
    best = start(folder, tmp_path / "run", SMALL, bundle)
    assert best["step"] == 3 and best["selection"] == best["reading"]
    whole = {"writer": BundleWriter(tmp_path / "out", "part")}
    table = publish(tmp_path / "run", Population.open(folder), bundle, **whole)
    assert "by picture" in table and "both branches: one sex" in table
    parts = Bundle.open(tmp_path / "out")
    assert parts.part("cmp-student").results["people"] == 4
    nets, recipe = trained(tmp_path / "run", bundle, bundle.face_model())
    assert recipe == SMALL and isinstance(nets, UnsupervisedNets)
    again = replace(SMALL, start=str(tmp_path / "run"))
    voices = voice_codes(Population.open(folder), bundle.net("cmp-voice-encoder"), "voicemesh")
    begun = task(folder, voices, again).net.state_dict()
    kept = load_file(tmp_path / "run" / "best.safetensors")
    for key in ("generator.model.2.weight", "judge.critic.model.weight"):
        torch.testing.assert_close(begun[key], kept[key])
    unit = torch.nn.functional.normalize(torch.randn(2, EMBEDDING))
    torch.testing.assert_close(
        parts.net("cmp-generator")(unit), nets.generator(unit), atol=2e-2, rtol=2e-2
    )
    assert CrossModalPerceptionist.from_bundle(bundle).images is None

"""SF2F's two stages: who learns from what, batches, a run from data to a part that imagines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_population, toy_portraits
from safetensors.torch import load_file

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.nets.sf2f import coloured
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.sf2f import SpeechToFace
from voicemesh.training import sf2f, sf2f_data, sf2f_losses
from voicemesh.training.data import FeatureSet, features
from voicemesh.training.loop import LoopSettings, train
from voicemesh.training.sf2f_nets import Sf2fNets, Sf2fRecipe, optimiser_of
from voicemesh.training.sf2f_publish import publish, trained
from voicemesh.training.sf2f_task import Sf2fTask
from voicemesh.training.sf2f_typical import typical

SMALL = replace(
    sf2f.BUNDLE,
    voice_widths=(8, 8),
    embedding=6,
    face_widths=(6, 6, 6, 6, 6),
    critic=4,
    size=64,
    steps=4,
    settles=2,
    warm=0,
    batch_size=4,
    joins=0,
    image_weight=0.1,
    identity_weight=0.05,
    typical=0,
    half=False,
    validate_every=50,
)
FUSER = replace(SMALL, stage=2, segments=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    toy_portraits(toy_population(where, identities=6, validation=4), size=64)
    return where


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Untrained nets: an ear to learn from, eyes to be measured by."""
    torch.manual_seed(2)
    writer = BundleWriter(tmp_path_factory.mktemp("bundle"), "toys")
    writer.net("cmp-voice-encoder", ear := VoiceEncoder(112, (8, 8), 5), arguments_of(ear))
    hears = {"channels": 112, "widths": (8,), "embedding": 4}
    sees = {"side": 16, "blocks": (1,), "widths": (8,), "embedding": 4}
    writer.net("cmpc-voice-encoder", FeatureVoiceEncoder(**hears), hears)
    writer.net("cmpc-face-encoder", GridFaceEncoder(**sees), sees)
    return Bundle.open(writer.bundle.folder)


def nets(recipe: Sf2fRecipe, **more) -> Sf2fNets:
    torch.manual_seed(0)
    return Sf2fNets(recipe, 112, 6, None, 5, **more)


def toy_batch(recipe: Sf2fRecipe, playing: float = 1.0, settled: float = 0.0):
    generator = torch.Generator().manual_seed(1)
    shape = (4, 3, 112, 125) if recipe.stage == 2 else (4, 112, 110)
    side = 128 if recipe.large else 64
    return {
        "voice": torch.randn(shape, generator=generator),
        "face": coloured(torch.rand(4, 3, side, side, generator=generator)),
        "person": torch.arange(4),
        "playing": torch.full((4,), playing),
        "settled": torch.full((4,), settled),
        "heard": torch.randn(4, 5, generator=generator),
    }


def touched(net: torch.nn.Module) -> set[str]:
    """The first words of the names of parameters that got a gradient other than zero."""
    return {
        name.split(".")[0]
        for name, p in net.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0
    }


@pytest.mark.parametrize(
    ("loss", "learns"),
    [
        ("critics", {"image_critics", "identity_critics"}),
        ("image", {"generator"}),
        ("identity", {"generator"}),
        ("pixel", {"generator"}),
        ("hearing", {"generator", "ear"}),
    ],
)
def test_every_loss_reaches_only_those_that_it_is_for(loss, learns):
    net = nets(SMALL)
    net(toy_batch(SMALL))[loss].backward()
    assert touched(net) == learns


def test_the_sum_weighs_each_loss():
    net = nets(replace(SMALL, edges_weight=3.0))
    losses = net.eval()(toy_batch(SMALL))
    weights = {"pixel": 10.0, "image": 0.1, "identity": 0.05, "edges": 3.0, "hearing": 20.0}
    expected = losses["critics"] + sum(w * losses[name] for name, w in weights.items())
    torch.testing.assert_close(losses["loss"], expected)
    assert all(float(losses[name].detach()) > 0 for name in weights)


def test_discriminators_wait_until_they_join():
    net = nets(SMALL)
    losses = net(toy_batch(SMALL, playing=0.0))
    assert float(losses["image"]) == float(losses["critics"]) == 0 < float(losses["pixel"])
    losses["loss"].backward()
    assert not touched(net) & {"image_critics", "identity_critics"}


def test_both_resolutions_count_and_the_smaller_target_is_every_second_pixel():
    large = replace(SMALL, large=4, edges_weight=0.0)
    net, batch = nets(large).eval(), toy_batch(large)
    low, high = net.generator(batch["voice"])[0]
    expected = (low - batch["face"][..., ::2, ::2]).abs().mean() + (
        high - batch["face"]
    ).abs().mean()
    losses = net(batch)
    torch.testing.assert_close(losses["pixel"], expected)
    assert len(net.image_critics) == len(net.identity_critics) == 2


def test_norms_freeze_once_it_settles():
    net = nets(SMALL).train()

    def moved(settled: float) -> bool:
        before = net.generator.decoder.fc[1].running_mean.clone()
        net(toy_batch(SMALL, settled=settled))
        return not torch.equal(before, net.generator.decoder.fc[1].running_mean)

    assert moved(0.0) and not moved(1.0)


def test_the_second_stage_trains_the_fuser_and_the_discriminators_alone():
    net = nets(FUSER).train()
    optimiser, _ = optimiser_of(FUSER, net)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net(toy_batch(FUSER))["loss"].backward()
    optimiser.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    own = {k for k in changed if k.startswith("generator.")}
    assert own == {
        f"generator.encoder.attn_fuser.attention.linear_{side}.weight" for side in ("in", "out")
    }
    assert {k.split(".")[0] for k in changed - own} == {"image_critics", "identity_critics"}


def test_rates_fall_from_where_it_settles_but_for_identity():
    recipe = replace(SMALL, steps=100, settles=60, warm=10, learning_rate=1.0, critic_rate=0.5)
    _, schedule = optimiser_of(recipe, nets(recipe))
    (maker, image, identity) = schedule.lr_lambdas
    assert [rate(0) for rate in schedule.lr_lambdas] == [0.1, 0.1, 0.1]
    assert (
        maker(60) == 1 and maker(80) == pytest.approx(0.5005) and maker(100) == pytest.approx(1e-3)
    )
    assert image(80) == maker(80) and identity(99) == 1
    assert schedule.base_lrs == [1.0, 0.5, 0.5]


BASELINE = replace(
    sf2f.BASELINE,
    voice_widths=(8, 8),
    embedding=6,
    face_widths=(6, 6, 6, 6, 6),
    identity_weight=0.0,
)


@pytest.mark.parametrize("recipe", [SMALL, BASELINE], ids=["gated", "baseline"])
def test_a_few_steps_lower_the_loss(recipe):
    net = nets(recipe).train()
    optimiser, _ = optimiser_of(replace(recipe, steps=99, settles=99, learning_rate=1e-2), net)
    batch, seen = toy_batch(recipe), []
    batch["face"] = coloured(torch.full((4, 3, 64, 64), 0.2))
    for _ in range(25):
        losses = net(batch)
        losses["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(float(losses["pixel"].detach()))
    assert seen[-1] < 0.8 * seen[0]


def utterances() -> FeatureSet:
    """Two people; the value of a frame is its number, of a channel ten times its recording."""
    frames = np.arange(300)[None, :, None] + 1000 * np.arange(4)[:, None, None]
    return FeatureSet(
        (frames.astype(np.float16),),
        identity=np.array([0, 0, 1, 0]),
        session=np.zeros(4, np.int64),
        clean=np.array([False, False, False, True]),
    )


def test_windows_follow_one_another_and_come_round():
    windows = sf2f_data.segments(utterances(), np.array([0, 1]), 5, None)[:, 0]
    starts = windows[:, 0].tolist()
    assert starts == [0, 125, 1000, 1125, 0]
    assert (windows.diff(dim=1) == 1).all()
    rng = np.random.default_rng(0)
    drawn = [sf2f_data.segments(utterances(), np.array([0]), 1, rng)[0, 0, 0] for _ in range(9)]
    assert len({float(start) for start in drawn}) > 5 and max(drawn) <= 175


def test_typical_faces_are_of_those_whose_voices_let_expect_them():
    """Two voices, two brightnesses: each recording gets an ordinary portrait of its kind."""
    rng = np.random.default_rng(4)
    kind = np.arange(40) % 2
    units = torch.from_numpy(
        kind[:, None] * np.ones(3) + 0.05 * rng.standard_normal((40, 3))
    ).float()
    pixels = torch.from_numpy(
        np.broadcast_to((60 + 120 * kind)[:, None, None, None], (40, 3, 16, 16)).copy()
    )
    oddness = torch.from_numpy(rng.standard_normal((40, 2))).float()
    oddness[[6, 9]] = 0.0
    found = typical(pixels.byte(), oddness, units, [np.array([i]) for i in range(40)], 2)
    assert set(found.pictures.tolist()) == {6, 9}
    assert (kind[found.pictures[found.kind]] == kind).all()
    with pytest.raises(ValueError, match="41 typical faces of 40 people"):
        typical(pixels.byte(), oddness, units, [np.array([i]) for i in range(40)], 41)


@pytest.mark.parametrize("form", sf2f_losses.FORMS)
def test_a_critic_that_is_right_loses_less(form):
    high, low = torch.full((2, 1, 3, 3), 2.0), torch.full((2, 1, 3, 3), -2.0)
    assert sf2f_losses.telling(high, low, form) < sf2f_losses.telling(low, high, form)
    assert sf2f_losses.fooling(high, form) < sf2f_losses.fooling(low, form)
    with pytest.raises(ValueError, match="there are gan, lsgan, wgan"):
        sf2f_losses.judged(high, True, "other")


def test_the_perceptual_loss_wants_its_network(folder, bundle, tmp_path):
    recipe = replace(SMALL, perceptual_weight=1.0, front_end="voicemesh")
    with pytest.raises(ValueError, match=r"20180402-114759-vggface2\.pt: set facenet=FILE"):
        sf2f.start(folder, tmp_path / "run", recipe, bundle)


def test_two_stages_from_data_to_an_image(folder, bundle, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(ValueError, match="needs start=RUN"):
        sf2f.start(folder, second, FUSER, bundle)
    sf2f.start(folder, first, SMALL, bundle)
    with pytest.raises(ValueError, match="other nets than this recipe"):
        wider = replace(FUSER, start=str(first), face_widths=(8, 6, 6, 6, 6))
        sf2f.start(folder, tmp_path / "x", wider, bundle)
    sf2f.start(folder, second, replace(FUSER, start=str(first), typical=2), bundle)
    kept, began = load_file(second / "best.safetensors"), load_file(first / "best.safetensors")
    assert all(torch.equal(kept[k], v) for k, v in began.items() if k.startswith("generator."))
    writer = BundleWriter(tmp_path / "out", "out")
    told = publish(second, Population.open(folder), bundle, writer)
    assert "fused" in told and "faces seen by cmpc-face-encoder" in told
    system = SpeechToFace.from_bundle(Bundle.open(tmp_path / "out"))
    spoken = system.imagine(torch.randn(4 * 16_000))
    assert spoken.image.shape == (64, 64, 3) and len(spoken.segments) == 5
    net, recipe = trained(second)
    assert recipe.stage == 2 and arguments_of(net)["fused"]


def test_a_run_goes_on_where_it_stopped(folder, tmp_path):
    """Stopped after some steps or in one go, the nets are the same to the last bit."""
    utterances_ = features(folder, "voicemesh")
    portraits = PortraitSet.open(folder / "portraits-64")

    def task(run):
        run.mkdir(exist_ok=True)
        return Sf2fTask(replace(SMALL, hearing_weight=0.0), utterances_, portraits, run)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    recipe = replace(SMALL, hearing_weight=0.0)
    settings = LoopSettings(4, log_every=2, validate_every=2)
    train(task(whole), recipe, whole, settings)
    train(task(broken), recipe, broken, replace(settings, minutes=0.0))
    assert (broken / "state-2").exists()
    train(task(broken), recipe, broken, settings)
    one, other = (load_file(run / "best.safetensors") for run in (whole, broken))
    assert all(torch.equal(one[key], other[key]) for key in one)

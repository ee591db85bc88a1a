"""Adapters: distances, noise, rates and pictures of VoiceStyle."""

import re

import torch
from conformance.case import Arrays, Case
from conformance.stylegan2 import check, strided, tensor, tensors

from voicemesh.checkpoints import upstream
from voicemesh.latent import losses, projection
from voicemesh.nets.irse import IrBackbone


def amounts(pattern: str, words: str) -> tuple[float, ...]:
    """Numbers that the case's words tell; `#` stands for one."""
    number = r"([-+]?\d+(?:\.\d+)?)"
    found = re.search(re.escape(pattern).replace(r"\#", number), words)
    assert found, f"nothing like {pattern!r} in {words!r}"
    return tuple(map(float, found.groups()))


def grown(blocks: torch.Tensor, side: int) -> torch.Tensor:
    """Every value repeated up to a side."""
    times = side // blocks.shape[3]
    return blocks.repeat_interleave(times, 2).repeat_interleave(times, 3)


def lpips(case: Case) -> Arrays:
    net = upstream.build(case.name, tensors(case), case.name).requires_grad_(False)
    call = case.description["call"]
    fine = tensor(case, "grain")
    first = grown(tensor(case, "blocks"), fine.shape[3]).requires_grad_()
    share, grain = amounts("# in0 + # grain", call["in1"])
    second = share * first.detach() + grain * fine
    features = net.features(second)
    distance = net.distance(features, first)
    (gradient,) = torch.autograd.grad(distance.sum(), first)
    with torch.no_grad():
        terms = net.terms(net.features(first), features)
        maps = net.maps(first)
    names = [name for name in case.arrays if name.startswith("feature/")]
    produced = {
        "distance": distance.detach()[:, None, None, None],
        "per_layer": terms,
        "grad_image": gradient,
        **dict(zip(sorted(names), maps, strict=True)),
    }
    return strided(case, produced)


def identity_loss(case: Case) -> Arrays:
    own = IrBackbone(reduction=16, dropout=0.6).state_dict()  # the case has no layout of its own
    layout = [(key, value.shape, str(value.dtype).split(".")[1]) for key, value in own.items()]
    filled = tensors(Case(case.name, {**case.description, "layout": layout}, {}))
    net = upstream.build(case.description["layout_of"], filled, case.name)
    identity, call = losses.Identity(net), case.description["call"]
    side = case.description["outputs"]["grad_image"][3]
    target = grown(tensor(case, "target_blocks"), side)
    share, rest = amounts("# target + # offset", call["image"])
    image = share * target + rest * grown(tensor(case, "offset_blocks"), side)
    image = image.requires_grad_()
    with torch.no_grad():
        features = identity(target)
    loss = identity.loss(features, image).mean()
    (gradient,) = torch.autograd.grad(loss, image)
    produced = {
        "loss": loss,
        "face_crop": losses.face_crop(target),
        "features_target": features,
        "features_image": identity(image),
        "grad_image": gradient,
    }
    return strided(case, produced)


def noise_regularize(case: Case) -> Arrays:
    share, offset, rolled = amounts(
        "# a + # + # roll(a, 1 along width)", case.description["call"]["noise maps"]
    )
    drawn = [tensor(case, name) for name in sorted(case.inputs, key=lambda n: int(n[6:]))]
    noise = [(share * a + offset + rolled * a.roll(1, 3)).requires_grad_() for a in drawn]
    loss = losses.noise_regularity(noise)
    gradients = torch.autograd.grad(loss, noise)
    losses.normalise_noise(noise)
    produced = {"loss": loss}
    for number, pair in enumerate(zip(gradients, noise, strict=True)):
        produced |= {f"grad_{number}": pair[0], f"normalized_{number}": pair[1]}
    return strided(case, produced)


def rates(case: Case) -> Arrays:
    told = case.description["arguments"]
    produced = {}
    for run in told["runs"]:
        course = projection.Course(
            run["steps"],
            run["initial_lr"],
            told["rampup"],
            told["rampdown"],
            told["noise"],
            told["noise_ramp"],
        )
        steps = range(run["steps"])
        produced[f"{run['name']}/lr"] = torch.tensor([course.rate_at(n) for n in steps])
        shakes = torch.tensor([course.shake_at(n) for n in steps])
        produced[f"{run['name']}/noise_factor"] = shakes
    return strided(case, produced)


def make_image(case: Case) -> Arrays:
    return {"pixels": projection.pixels_of(tensor(case, "image"))}


def check_noise(case: Case, produced: Arrays) -> None:
    """The case's notes hold the tolerance of its gradients."""
    (looser,) = re.findall(r"tolerance ([\d.e-]+\d) for gradients", case.description["notes"])
    described = {**case.description, "gradient_tolerance": float(looser)}
    check(Case(case.name, described, case.arrays), produced)


ADAPTERS = {
    "lpips-vgg": lpips,
    "voicestyle-id-loss": identity_loss,
    "voicestyle-lr-schedule": rates,
    "voicestyle-make-image": make_image,
    "voicestyle-noise-regularize": noise_regularize,
}
CHECKS = {
    "lpips-vgg": check,
    "voicestyle-id-loss": check,
    "voicestyle-noise-regularize": check_noise,
}

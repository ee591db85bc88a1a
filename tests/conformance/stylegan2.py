"""Adapters: mapping, generator, discriminator, losses and augmentation of StyleGAN2."""

import re

import torch
from conformance.case import Arrays, Case, compare, relative_error

from voicemesh.checkpoints import stylegan2 as checkpoints
from voicemesh.latent.statistics import Statistics
from voicemesh.nets import stylegan2 as nets
from voicemesh.training import stylegan2_augment as augmentation
from voicemesh.training import stylegan2_losses as losses


def tensors(case: Case) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in case.state().items()}


def tensor(case: Case, name: str, grad: bool = False) -> torch.Tensor:
    return torch.from_numpy(case.input(name)).requires_grad_(grad)


def generator(case: Case) -> nets.Generator:
    """The case's net; sizes read off its tensors have to be those that it tells."""
    arguments, state = case.description["arguments"], tensors(case)
    net = checkpoints.generator(state, case.name)
    assert net.size == arguments["size"] and net.features == arguments["style_dim"]
    assert len(net.style) == 1 + arguments["n_mlp"]
    rescale(net.style, arguments)
    return net.requires_grad_(False)


def rescale(mapping: torch.nn.Sequential, arguments: dict) -> None:
    """The one constant that no tensor tells."""
    for layer in mapping[1:]:
        layer.scale *= arguments.get("lr_mlp", 0.01) / layer.rate
        layer.rate = arguments.get("lr_mlp", 0.01)


def strided(case: Case, produced: dict[str, torch.Tensor]) -> Arrays:
    """As much of each array as the case stores."""
    arrays = {name: value.detach().numpy() for name, value in produced.items()}
    for name, rule in case.description.get("subsample", {}).items():
        if name in arrays:
            strides = tuple(slice(None, None, step) for step in rule["axis_strides"])
            arrays[name] = arrays[name][strides]
    return arrays


def check(case: Case, produced: Arrays) -> None:
    """Gradients have a tolerance of their own."""
    gradients = {name for name in case.arrays if "grad" in name}
    rest = {name: value for name, value in case.arrays.items() if name not in gradients}
    compare(Case(case.name, case.description, rest), produced)
    looser = case.description.get("gradient_tolerance", case.tolerance)
    for name in sorted(gradients):
        assert produced[name].shape == case.arrays[name].shape, name
        error = relative_error(produced[name], case.arrays[name])
        assert error <= looser, f"{case.name}: {name}: relative error {error:.2e}"


def grown(case: Case, name: str, side: int) -> torch.Tensor:
    """Blocks times what the case's words say, every value repeated up to a side."""
    factor = float(re.search(r"\) times ([\d.]+)", case.description["call"]["image"])[1])
    blocks = factor * tensor(case, name)
    times = side // blocks.shape[3]
    return blocks.repeat_interleave(times, 2).repeat_interleave(times, 3)


def mapping(case: Case) -> Arrays:
    arguments = case.description["arguments"]
    style, depth = arguments["style_dim"], arguments["n_mlp"]
    net = nets.Generator((4,), style, depth, arguments["lr_mlp"])
    state = tensors(case)
    own = {key: value for key, value in net.state_dict().items() if not key.startswith("style.")}
    checkpoints.fill(net, own | state, case.name)
    z = tensor(case, "z", grad=True)
    w = net.mapping(z)
    (gradient,) = torch.autograd.grad((tensor(case, "probe") * w).sum(), z)
    told = Statistics.of(w.detach())
    (psi,) = re.findall(r"([\d.]+) \(w - mean\)", case.description["call"]["w_truncated"])
    produced = {
        "w": w,
        "mean_latent": told.mean[None],
        "latent_std": told.radius,
        "w_truncated": nets.truncated(w, told.mean, float(psi)),
        "grad_z": gradient,
    }
    return strided(case, produced)


@torch.no_grad()
def generator_large(case: Case) -> Arrays:
    net, call = generator(case), case.description["call"]
    w = net.mapping(tensor(case, "z"))
    (psi,) = re.findall(r"truncation ([\d.]+) towards", call["image_truncated"])
    drawn = nets.truncated(w, tensor(case, "truncation_latent"), float(psi))
    return strided(case, {"w": w, "image": net(w), "image_truncated": net(drawn)})


def generator_small(case: Case) -> Arrays:
    net, call = generator(case), case.description["call"]
    maps = sorted((n for n in case.inputs if n.startswith("noise_")), key=lambda n: int(n[6:]))
    noise = [tensor(case, name, grad=True) for name in maps]
    w = tensor(case, "w", grad=True)
    start = int(re.search(r"inject_index (\d+)", call["image_mixed"])[1])
    with torch.no_grad():
        styles = [net.mapping(tensor(case, name)) for name in ("z", "z2")]
        produced = {
            "image": net(styles[0]),
            "image_from_w": net(w),
            "image_from_w_plus": net(tensor(case, "w_plus")),
            "image_mixed": net(nets.mixed(*styles, start, net.layers)),
        }
    image = net(w, noise)
    gradients = torch.autograd.grad((tensor(case, "probe") * image).sum(), (w, *noise))
    produced |= {"image_own_noise": image, "grad_w": gradients[0]}
    produced |= {f"grad_{name}": g for name, g in zip(maps, gradients[1:], strict=True)}
    return strided(case, {name: produced[name] for name in case.arrays})


def discriminator(case: Case) -> Arrays:
    net = checkpoints.discriminator(tensors(case), case.name)
    side = case.description["arguments"]["size"]
    assert nets.sides(side) == nets.sides(4 << len(net.convs) - 1)
    image = grown(case, "blocks", side).requires_grad_()
    score = net(image)
    r1 = losses.gradient_penalty(score, image)
    (gradient,) = torch.autograd.grad(score.sum(), image, retain_graph=True)
    keys = [name.removeprefix("r1_grad/") for name in case.arrays if name.startswith("r1_grad/")]
    second = torch.autograd.grad(r1, [net.get_parameter(key) for key in keys])
    with torch.no_grad():
        produced = {"score_groups": net(grown(case, "blocks_groups", side))}
        produced["features_4x4"] = net.convs(image)
    produced |= {"score": score, "grad_image": gradient, "r1": r1}
    produced |= {f"r1_grad/{key}": value for key, value in zip(keys, second, strict=True)}
    return strided(case, produced)


def training_losses(case: Case) -> Arrays:
    net, arguments = generator(case).requires_grad_(), case.description["arguments"]
    real, fake = tensor(case, "real_score"), tensor(case, "fake_score")
    w_plus = net.rows(net.mapping(tensor(case, "z")))
    before = torch.tensor(float(arguments["mean_path_length"]))
    penalty, mean, lengths = losses.path_penalty(
        net(w_plus), w_plus, tensor(case, "path_noise"), before, arguments["decay"]
    )
    keys = [n.removeprefix("path_grad/") for n in case.arrays if n.startswith("path_grad/")]
    gradients = torch.autograd.grad(penalty, [net.get_parameter(key) for key in keys])
    produced = {
        "d_logistic": losses.critic_loss(real, fake),
        "g_nonsaturating": losses.generator_loss(fake),
        "path_penalty": penalty,
        "path_mean": mean,
        "path_lengths": lengths,
        "ema_decay": torch.tensor(losses.ema_decay(32)),
    }
    produced |= {f"path_grad/{key}": value for key, value in zip(keys, gradients, strict=True)}
    return strided(case, produced)


def augment(case: Case) -> Arrays:
    images = tensor(case, "image")
    turn, size, x, y = map(float, factors(case.description["call"]["G"]))
    parameters = tensor(case, "affine_parameters")
    height = images.shape[2]
    scale = torch.exp(parameters[:, 1:2] * size).expand(-1, 2)
    shift = parameters[:, 2:] * torch.tensor([x, y]) * height
    maps = augmentation.rotation(parameters[:, :1] * turn) @ augmentation.scaling(scale)
    maps[:, :2, 2] = shift
    (amount,) = re.findall(r"([\d.]+) \* colour_offset", case.description["call"]["C"])
    colours = torch.eye(4).repeat(len(images), 1, 1)
    colours[:, :3] += float(amount) * tensor(case, "colour_offset")
    moved = augmentation.warped(images, maps)
    produced = {
        "affine": moved,
        "colour": augmentation.recoloured(images, colours),
        "both": augmentation.recoloured(moved, colours),
    }
    return strided(case, produced)


def factors(words: str) -> list[str]:
    """The four numbers of `affine_parameters * [a, b, c H, d H]`."""
    listed = re.search(r"affine_parameters \* \[(.*?)\]", words)[1]
    return [part.split()[0] for part in listed.split(",")]


ADAPTERS = {
    "stylegan2-ada-augment": augment,
    "stylegan2-discriminator-64": discriminator,
    "stylegan2-generator-64": generator_small,
    "stylegan2-generator-256": generator_large,
    "stylegan2-mapping": mapping,
    "stylegan2-training-losses": training_losses,
}
CHECKS = dict.fromkeys(ADAPTERS, check)

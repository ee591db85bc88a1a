"""Losses of SF2F: the adversarial forms, the perceptual distance and the generator's sum.

Source: BAI-Yeqi/SF2F_PyTorch, utils/losses.py and models/perceptual.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voicemesh.nets.sf2f_facenet import FaceNet, prepared

Scores = Float[Tensor, "batch *patches"]
DEPTHS = (1 / 16, 1 / 8, 1 / 4, 1.0)  # weights of the three groups of blocks and the embedding
FORMS = ("gan", "lsgan", "wgan")


def fooling(scores: Scores, form: str = "gan") -> Float[Tensor, ""]:
    """What a maker loses whose images get these scores."""
    return judged(scores, True, form)


def telling(real: Scores, made: Scores, form: str = "gan") -> Float[Tensor, ""]:
    """What a critic loses that gives these scores."""
    return judged(real, True, form) + judged(made, False, form)


def judged(scores: Scores, as_real: bool, form: str = "gan") -> Float[Tensor, ""]:
    """Loss of scores that should say real, or made.

    Raises:
        ValueError: no such form.
    """
    if form == "wgan":
        return -scores.mean() if as_real else scores.mean()
    wanted = torch.full_like(scores, float(as_real))
    if form == "gan":
        return functional.binary_cross_entropy_with_logits(scores, wanted)
    if form == "lsgan":
        return functional.mse_loss(scores.sigmoid(), wanted)
    raise ValueError(f"No adversarial loss {form!r}; there are {', '.join(FORMS)}")


def perceptual(
    net: FaceNet,
    image: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, ""]:
    """How differently a face network sees two images in ImageNet colours."""
    return seen_apart(net, prepared(image), prepared(target))


def seen_apart(
    net: FaceNet,
    crops: Float[Tensor, "batch 3 rows columns"],
    targets: Float[Tensor, "batch 3 rows columns"],
) -> Float[Tensor, ""]:
    """Mean absolute differences at four depths, the deeper the heavier."""
    with torch.no_grad():
        wanted = net.layers(targets)
    seen, total = net.layers(crops), crops.new_zeros(())
    for name, weight in zip(("repeat_1", "repeat_2", "repeat_3", "embedding"), DEPTHS, strict=True):
        total = total + weight * functional.l1_loss(getattr(seen, name), getattr(wanted, name))
    return total

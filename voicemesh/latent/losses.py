"""What inversions and searches lower: noise that hides a picture, another identity."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SMALLEST = 8  # side of the noise maps that are not halved further
CROP_OF = 256  # side of the pictures that the crop is told for
CROP_TOP, CROP_LEFT, CROP_SIDE = 35, 32, 188  # published, of FFHQ-framed faces
IDENTITY_SIDE = 112
MIDDLE, WIDTH = (0.5, 0.585), 0.17  # of eyes, nose and mouth, in sides of a portrait
CONTRAST = 0.01  # deviation that textures are told from nothing by


def noise_regularity(noise: Sequence[Float[Tensor, "_ 1 _ _"]]) -> Float[Tensor, ""]:
    """How much neighbours of the noise maps have in common, at every scale: 0 for true noise.

    Source: audio-visual/voicestyle, generation/projector.py, noise_regularize.
    """
    total = noise[0].new_zeros(())
    for whole in noise:
        level = whole
        while True:
            for axis in (3, 2):
                total = total + (level * level.roll(1, axis)).mean().square()
            if level.shape[2] <= SMALLEST:
                break
            level = functional.avg_pool2d(level, 2)
    return total


@torch.no_grad()
def normalise_noise(noise: Sequence[Float[Tensor, "_ 1 _ _"]]) -> None:
    """Bring every map to mean 0 and deviation 1 in place, over all its images together."""
    for whole in noise:
        whole.sub_(whole.mean()).div_(whole.std())


def pyramid_differences(
    image: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    smallest: int = 8,
    weight: Float[Tensor, "1 1 height width"] | None = None,
) -> Float[Tensor, " batch"]:
    """Mean absolute difference of every level of the Laplacian pyramid, summed: edges count.

    A `weight` says how much each pixel counts; of a smaller level, the mean over its pixels.
    """
    difference, total = image - target, image.new_zeros(len(image))
    while difference.shape[2] > smallest:
        small = functional.avg_pool2d(difference, 2)
        apart = (difference - upsampled(small)).abs()
        if weight is not None:
            apart, weight = apart * weight, functional.avg_pool2d(weight, 2)
        total = total + apart.mean((1, 2, 3))
        difference = small
    return total


def loose_differences(
    image: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    faces: float,
    hair: float,
    smallest: int = 8,
) -> Float[Tensor, " batch"]:
    """Plain and pyramid differences that leave strands free.

    Of what is finer than four pixels only the share `hair` counts away from the face, of the next
    level its root; all else is as `face_weight` says.
    """
    side = image.shape[2]
    weight, difference = face_weight(side, faces).to(image.device), image - target
    faced = face_share(side).to(image.device)
    coarse = functional.avg_pool2d(difference, 4)
    total = (coarse.abs() * functional.avg_pool2d(weight, 4)).mean((1, 2, 3))
    share = hair
    while difference.shape[2] > smallest:
        small = functional.avg_pool2d(difference, 2)
        apart = (difference - upsampled(small)).abs() * weight
        apart = apart * (share + (1 - share) * faced)
        total = total + apart.mean((1, 2, 3))
        weight, faced = functional.avg_pool2d(weight, 2), functional.avg_pool2d(faced, 2)
        difference, share = small, 1.0 if share > 0.9 else share**0.5 if share == hair else 1.0
    return total


def texture_differences(
    image: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    bands: int = 3,
    window: int = 8,
    weight: Float[Tensor, "1 1 height width"] | None = None,
) -> Float[Tensor, " batch"]:
    """How much the local contrast differs, band by band, along and across: strands count.

    Of every band of the brightness its deviation within small windows is compared, not its value:
    a picture that smooths what it cannot place is told so. Bands smaller than a window are left.
    """
    total, pair = image.new_zeros(len(image)), torch.cat([image, target]).mean(1, keepdim=True)
    for _ in range(bands):
        if pair.shape[2] <= window:
            break
        small = functional.avg_pool2d(pair, 2)
        band = pair - upsampled(small)
        across, along = band.diff(dim=3)[:, :, 1:], band.diff(dim=2)[:, :, :, 1:]
        power = functional.avg_pool2d(torch.cat([across, along], 1).square(), window, window // 2)
        of_image, of_target = (power + CONTRAST**2).sqrt().chunk(2)
        apart = (of_image - of_target).abs()
        if weight is not None:
            apart = apart * functional.adaptive_avg_pool2d(weight, apart.shape[2])
        total = total + apart.mean((1, 2, 3))
        pair = small
    return total


def colour_differences(
    image: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    window: int = 4,
) -> Float[Tensor, " batch"]:
    """Mean absolute difference of what is neither brightness nor detail: no tints in grey hair."""
    difference = functional.avg_pool2d(image - target, min(window, image.shape[2]))
    return (difference - difference.mean(1, keepdim=True)).abs().mean((1, 2, 3))


def face_weight(size: int, more: float) -> Float[Tensor, "1 1 size size"]:
    """What pixels count by where they are, 1 on average: portraits are framed by eyes and mouth."""
    weight = 1 + more * face_share(size)
    return weight / weight.mean()


def face_share(size: int) -> Float[Tensor, "1 1 size size"]:
    """How much of the face there is at each pixel: 1 in its middle, 0 far from it."""
    place = (torch.arange(size) + 0.5) / size
    across, down = (-0.5 * ((place - middle) / WIDTH) ** 2 for middle in MIDDLE)
    return torch.exp(down[:, None] + across)[None, None]


def upsampled(small: Float[Tensor, "batch channel _ _"]) -> Float[Tensor, "batch channel _ _"]:
    """Twice the size, between the pixels by straight lines."""
    return functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)


def face_crop(image: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch 3 112 112"]:
    """The middle of a portrait as the identity network sees it."""
    if image.shape[3] != CROP_OF:
        image = functional.adaptive_avg_pool2d(image, CROP_OF)
    rows = slice(CROP_TOP, CROP_TOP + CROP_SIDE)
    columns = slice(CROP_LEFT, CROP_LEFT + CROP_SIDE)
    return functional.adaptive_avg_pool2d(image[:, :, rows, columns], IDENTITY_SIDE)


class Identity(nn.Module):
    """Unit identity features of portraits in [-1, 1], by an IR-SE50 or another net of 112 pixels.

    The published network was trained on pictures in the order B, G, R and is published to be fed
    R, G, B; `bgr` feeds it what it knows.
    """

    def __init__(self, net: nn.Module, bgr: bool = False) -> None:
        super().__init__()
        self.net, self.bgr = net.eval().requires_grad_(False), bgr

    def forward(self, image: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch features"]:
        """Features of length 1."""
        crop = face_crop(image)
        features = self.net(crop.flip(1) if self.bgr else crop)
        return functional.normalize(features.float(), eps=0.0)

    def loss(
        self, features: Float[Tensor, "batch features"], image: Float[Tensor, "batch 3 _ _"]
    ) -> Float[Tensor, " batch"]:
        """1 - cosine to features that were taken before."""
        return 1 - (self(image) * features).sum(1)

"""What can be read off face pictures by networks that no image was driven towards.

Sex and age are read by linear maps of features, fitted on true portraits of other people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import IDENTITY
from voicemesh.latent.losses import Identity
from voicemesh.latent.projection import prepared
from voicemesh.systems.association import VoiceFaceSpace

RIDGE = 0.003  # in the mean variance of a feature
AT_ONCE = 32  # pictures


@dataclass(frozen=True, eq=False)
class Look:
    """Our face networks side by side: what is seen in a picture, as one row of numbers."""

    space: VoiceFaceSpace
    identity: Identity | None = None
    side: int = 128  # of the pictures that the identity network is shown

    @classmethod
    def of(
        cls, space: VoiceFaceSpace, bundle: Bundle, device: torch.device | str = "cpu"
    ) -> "Look":
        """A space's face net, and the identity network of a bundle if it has one."""
        if IDENTITY not in bundle.parts:
            return cls(space)
        return cls(space, Identity(bundle.net(IDENTITY).to(device)))

    def features(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Float[np.ndarray, "pictures features"]:
        """Features of pictures."""
        units = self.shared(pictures)
        if self.identity is None:
            return units
        return np.concatenate([units, self.identities(pictures)], 1)

    def shared(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Float[np.ndarray, "pictures embedding"]:
        """Units in the space of voices and faces."""
        return self.space.embed_faces(pictures).cpu().double().numpy()

    @torch.no_grad()
    def identities(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Float[np.ndarray, "pictures features"]:
        """What the identity network says, units."""
        assert self.identity is not None
        found, device = [], next(self.identity.parameters()).device
        for start in range(0, len(pictures), AT_ONCE):
            some = prepared(list(pictures[start : start + AT_ONCE]), self.side)
            found.append(self.identity(some.to(device)).cpu().double().numpy())
        return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class Reader:
    """Apparent sex and age of a face, by linear maps of its features."""

    look: Look
    weights: Float[np.ndarray, "d 2"]
    offsets: Float[np.ndarray, "2"]

    @classmethod
    def fit(
        cls,
        look: Look,
        pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        male: Bool[np.ndarray, " pictures"],
        age: Float[np.ndarray, " pictures"],
    ) -> "Reader":
        """Least squares on true pictures, with a little ridge."""
        x = look.features(pictures)
        y = np.stack([np.where(male, 1.0, -1.0), age], 1)
        middle, target = x.mean(0), y.mean(0)
        gram = np.cov(x.T) + RIDGE * x.var(0).mean() * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x - middle).T @ (y - target) / len(x))
        return cls(look, weights, target - middle @ weights)

    def read(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> tuple[Bool[np.ndarray, " pictures"], Float[np.ndarray, " pictures"]]:
        """Apparently male, and the apparent age."""
        told = self.look.features(pictures) @ self.weights + self.offsets
        return told[:, 0] > 0, told[:, 1]


def read(
    reader: Reader,
    pixels: UInt8[np.ndarray, "images size size 3"],
    male: Bool[np.ndarray, " images"],
    age: Float[np.ndarray, " images"],
) -> dict[str, float]:
    """How often the apparent sex is right, and how the apparent age follows the true one."""
    seen_male, seen_age = reader.read(list(pixels))
    told = {"sex": float((seen_male == male).mean()), "age": correlation(seen_age, age)}
    for name, some in (("age of women", ~male), ("age of men", male)):
        if some.sum() > 2:
            told[name] = correlation(seen_age[some], age[some])
    return told


def figures(
    reader: Reader,
    pixels: UInt8[np.ndarray, "images size size 3"],
    faces: UInt8[np.ndarray, "people _ _ 3"],
    male: Bool[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
) -> dict[str, float]:
    """Sex, age and identity of images; image i is of person i of all people.

    `identity` is the mean share of the other people whose true portrait is less like the image
    than the right one's, 0.5 by chance: in the space that voices and faces share, and to the
    identity network, which goes by hair and skin as well, of which no voice tells.
    """
    some = slice(0, len(pixels))
    told = read(reader, pixels, male[some], age[some])
    look = reader.look
    share = places(look.shared(list(pixels)), look.shared(list(faces)))
    told |= {
        "identity": float(share.mean()),
        "identity error": float(share.std() / len(share) ** 0.5),
        "top tenth": float((share >= 0.9).mean()),
    }
    if look.identity is not None:
        share = places(look.identities(list(pixels)), look.identities(list(faces)))
        told["by identity network"] = float(share.mean())
    return told


def places(
    images: Float[np.ndarray, "images d"], faces: Float[np.ndarray, "people d"]
) -> Float[np.ndarray, " images"]:
    """For each image the share of the other people who are less like it than its own person."""
    similarity = images @ faces.T
    own = similarity[np.arange(len(images)), np.arange(len(images))]
    less = (similarity < own[:, None]).sum(1) + 0.5 * ((similarity == own[:, None]).sum(1) - 1)
    return less / (len(faces) - 1)


def correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Pearson's; 0 where one side never changes."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-9 else 0.0

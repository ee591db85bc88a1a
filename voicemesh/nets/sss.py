"""Networks of Seeking the Shape of Sound (Wen et al., CVPR 2021): a voice and a face, one space.

Keys are those of the published state dicts, without the fixed filters that lie in them: the front
ends are in `voicemesh.audio.association` and `voicemesh.images`. Small nets of our own for the same
space are in `sss_small`.
Source: KID-7391/seeking-the-shape-of-sound, models.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from .irse import IrBackbone, xavier

START_LOSS = 14.0  # running loss of an identity before it is seen; about 2 ln(924)


class GatedBlock(nn.Module):
    """Convolution, ReLU, then norm (in this order); convolution, norm, gate; shortcut; ReLU."""

    def __init__(self, before: int, after: int, stride: int, reduction: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.se = LinearGate(after, reduction)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(
        self, x: Float[Tensor, "batch channel mels frames"]
    ) -> Float[Tensor, "batch after _ _"]:
        """Maps of the next width."""
        y = self.bn1(torch.relu(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class LinearGate(nn.Module):
    """Squeeze-and-excitation of linear layers with biases."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        inner = width // reduction
        self.fc = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.Sigmoid()
        )

    def forward(
        self, x: Float[Tensor, "batch channel mels frames"]
    ) -> Float[Tensor, "batch channel mels frames"]:
        """The scaled maps."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class ThinResNet(nn.Module):
    """Normalised log-mel features to one vector: residual stages, self-attention over time.

    The defaults are the published Thin-ResNet-34, 40 mels in; any number of mels and frames goes.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (16, 32, 64, 128),
        features: int = 512,
        reduction: int = 8,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 7, (2, 1), 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        strides = (1, *(2 for _ in widths[1:-1]), 1)
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            layers: list[nn.Module] = []
            for number in range(count):
                stride = 1 if number else strides[stage]
                layers.append(GatedBlock(before, width, stride, reduction))
                before = width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(widths)
        self.sap_linear = nn.Linear(before, before)
        self.attention = nn.Parameter(torch.zeros(before, 1))
        self.fc = nn.Linear(before, features)
        self.apply(xavier)
        nn.init.xavier_uniform_(self.attention)

    def forward(
        self, log_mel: Float[Tensor, "batch mels frames"]
    ) -> Float[Tensor, "batch features"]:
        """Features of each voice, not normalised."""
        frames = self.frames(log_mel)
        return self.fc((frames * self.attention_weights(frames)[:, None]).sum(2))

    def frames(
        self, log_mel: Float[Tensor, "batch mels frames"]
    ) -> Float[Tensor, "batch width shorter"]:
        """One vector for each of the frames that the strides leave, the mean over frequency."""
        x = torch.relu(self.bn1(self.conv1(log_mel[:, None])))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean(2)

    def attention_weights(
        self, frames: Float[Tensor, "batch width shorter"]
    ) -> Float[Tensor, "batch shorter"]:
        """How much each frame counts; they add up to one."""
        scores = torch.tanh(self.sap_linear(frames.mT)) @ self.attention
        return scores[:, :, 0].softmax(1)


class ThinVoiceEncoder(nn.Module):
    """Voice features to an embedding: the published V. Scores are cosines of embeddings."""

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (16, 32, 64, 128),
        features: int = 512,
        embedding: int = 128,
        reduction: int = 8,
    ) -> None:
        super().__init__()
        self.model = ThinResNet(blocks, widths, features, reduction)
        self.fc = embedding_head(features, embedding)

    def forward(
        self, log_mel: Float[Tensor, "batch mels frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        return self.fc(self.model(log_mel))


class IrFaceEncoder(nn.Module):
    """Face picture (B, G, R in [-1, 1]) to an embedding, and the class matrix of both sides: F."""

    def __init__(
        self,
        units: Sequence[int] = (3, 4, 14, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        side: int = 112,
        features: int = 512,
        embedding: int = 128,
        identities: int = 924,
    ) -> None:
        super().__init__()
        self.model = IrBackbone(units, widths, side, features)
        self.fc = embedding_head(features, embedding)
        self.cls = IdentityClassifier(embedding, identities)

    def forward(
        self, image: Float[Tensor, "batch 3 side side"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings, not normalised."""
        return self.fc(self.model(image))


class IdentityClassifier(nn.Module):
    """One vector for every training identity; logits are plain inner products."""

    def __init__(self, embedding: int, identities: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(identities, embedding))
        nn.init.xavier_uniform_(self.weight)

    def forward(
        self,
        embedding: Float[Tensor, "batch embedding"],
        targets: Int64[Tensor, " batch"] | None = None,
        margin: float = 0.0,
    ) -> Float[Tensor, "batch identities"]:
        """Logits; `margin` is taken off those of `targets`, which the published training omits."""
        logits = embedding @ self.weight.T
        if targets is None or not margin:
            return logits
        return logits - margin * functional.one_hot(targets, logits.shape[1])


class IdentityState(nn.Module):
    """What the re-weighting remembers of every identity: its running loss and its weight.

    No gradient reaches them; `voicemesh.training.sss_losses` tells how they move.
    """

    def __init__(self, identities: int = 924) -> None:
        super().__init__()
        self.register_buffer("loss_mean", torch.full((identities,), START_LOSS))
        self.register_buffer("weight", torch.ones(identities))


class EmbeddingHeads(nn.Module):
    """What stands on the two backbones: both heads, and the class matrix that they share."""

    def __init__(self, features: int = 512, embedding: int = 128, identities: int = 924) -> None:
        super().__init__()
        self.V = nn.ModuleDict({"fc": embedding_head(features, embedding)})
        self.F = nn.ModuleDict(
            {
                "fc": embedding_head(features, embedding),
                "cls": IdentityClassifier(embedding, identities),
            }
        )

    def forward(
        self, voice: Float[Tensor, "batch features"], face: Float[Tensor, "batch features"]
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Embeddings of voices and of faces, not normalised."""
        return self.V["fc"](voice), self.F["fc"](face)


class ShapeOfSound(nn.Module):
    """The whole system as its checkpoint holds it: V hears, F sees, `center` weighs identities."""

    def __init__(
        self,
        voice_blocks: Sequence[int] = (3, 4, 6, 3),
        voice_widths: Sequence[int] = (16, 32, 64, 128),
        face_units: Sequence[int] = (3, 4, 14, 3),
        face_widths: Sequence[int] = (64, 128, 256, 512),
        side: int = 112,
        features: int = 512,
        embedding: int = 128,
        identities: int = 924,
    ) -> None:
        super().__init__()
        self.V = ThinVoiceEncoder(voice_blocks, voice_widths, features, embedding)
        self.F = IrFaceEncoder(face_units, face_widths, side, features, embedding, identities)
        self.center = IdentityState(identities)

    def forward(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        image: Float[Tensor, "batch 3 side side"],
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Embeddings of voices and of faces, not normalised."""
        return self.V(log_mel), self.F(image)


def embedding_head(features: int, embedding: int, dropout: float = 0.5) -> nn.Sequential:
    """Features to an embedding; in training the dropout acts on the embedding itself."""
    head = nn.Sequential(
        nn.BatchNorm1d(features),
        nn.ReLU(),
        nn.Linear(features, embedding, bias=False),
        nn.Dropout(dropout),
    )
    return head.apply(xavier)

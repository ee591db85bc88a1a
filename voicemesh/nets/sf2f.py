"""The generator of SF2F (Bai et al., "Speech Fusion to Face"), its parts and its options.

A voice encoder over segments, an attention fuser, and a face decoder. Images are in the colours
that ImageNet networks read, `bytes_of` undoes that. Keys are those of the published layout.
Source: BAI-Yeqi/SF2F_PyTorch, models/encoder_decoder.py, models/voice_encoders.py,
models/face_decoders.py.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from .sf2f_attention import AttentionFuser

COLOUR_MEAN, COLOUR_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB
KERNELS = ((2, 1), (3, 1), (5, 2), (7, 3))  # width and padding of the four branches
START = 4  # pixels of the side of the first map
NOISE = 0.05  # deviation, on the embedding of the baseline


class VoiceConvolution(nn.Module):
    """A convolution that halves time, normalised and rectified."""

    def __init__(self, before: int, after: int, kernel: int, padding: int) -> None:
        super().__init__()
        convolution = nn.Conv1d(before, after, kernel, 2, padding, bias=False)
        self.model = nn.Sequential(convolution, nn.BatchNorm1d(after), nn.ReLU(inplace=True))

    def forward(
        self, x: Float[Tensor, "batch before frames"]
    ) -> Float[Tensor, "batch after fewer"]:
        """Half the frames, of other channels."""
        return self.model(x)


class InceptionBlock(nn.Module):
    """Four convolutions of different reach, side by side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        for kernel, padding in KERNELS:
            branch = VoiceConvolution(before, after // len(KERNELS), kernel, padding)
            setattr(self, f"conv_k{kernel}", branch)

    def forward(
        self, x: Float[Tensor, "batch before frames"]
    ) -> Float[Tensor, "batch after fewer"]:
        """Half the frames; the even kernel's surplus one at the end is dropped."""
        frames = (x.shape[2] + 1) // 2
        branches = [getattr(self, f"conv_k{kernel}")(x) for kernel, _ in KERNELS]
        return torch.cat([branch[..., :frames] for branch in branches], 1)


class SpeechEncoder(nn.Module):
    """Log-mel energies of any length to an embedding of unit length.

    With `fused`, segments of one voice [batch, segments, mels, frames] become one embedding; there
    is no mask, and their order is no matter.
    """

    def __init__(
        self,
        mels: int = 40,
        widths: Sequence[int] = (256, 384, 576, 864),
        embedding: int = 512,
        inception: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((mels, *widths), widths, strict=False):
            if inception:
                layers.append(InceptionBlock(before, after))
                continue
            convolution = nn.Conv1d(before, after, 3, 2, 1, bias=False)
            layers += [convolution, nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
        layers.append(nn.Conv1d(widths[-1], embedding, 3, 2, 1))
        self.model = nn.Sequential(*layers)
        if fused:
            self.attn_fuser = AttentionFuser(embedding)
        self.fused = fused

    def forward(
        self, log_mels: Float[Tensor, "batch *segments mels frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """One embedding per voice, of its one stretch or of its segments.

        Raises:
            ValueError: segments for an encoder that has no fuser.
        """
        if log_mels.ndim == 3:
            return self.embed(log_mels)
        return self.fuse(self.embed(log_mels.flatten(0, 1)).unflatten(0, log_mels.shape[:2]))[0]

    def embed(
        self, log_mels: Float[Tensor, "batch mels frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """Embeddings of single stretches."""
        return functional.normalize(self.model(log_mels).mean(-1))

    def fuse(
        self, segments: Float[Tensor, "batch segments embedding"]
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch segments segments"]]:
        """Embeddings of the segments of a voice as one, and how they looked at one another.

        Raises:
            ValueError: there is no fuser.
        """
        if not self.fused:
            raise ValueError(
                "This encoder was made without a fuser: give it one stretch per voice,"
                " [batch, mels, frames], or take the net of the second stage"
            )
        mixed, weights = self.attn_fuser(segments)
        return functional.normalize(mixed), weights


def disturbed(
    unit: Float[Tensor, "batch embedding"], noise: Float[Tensor, "batch embedding"]
) -> Float[Tensor, "batch embedding"]:
    """Unit embeddings with noise, at unit length again: training of the baseline.

    Published, the baseline adds it in evaluation too, so its images are random.
    """
    return functional.normalize(unit + NOISE * noise)


class Grow(nn.Module):
    """A transposed convolution, rectified but for the last one."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after _ _"]:
        """The larger map."""
        return self.model(x)


class TransposedDecoder(nn.Module):
    """Embedding to one image by transposed convolutions: the decoder of the baseline."""

    def __init__(
        self,
        embedding: int = 512,
        widths: Sequence[int] = (1024, 512, 256, 128, 64),
        channels: int = 3,
    ) -> None:
        super().__init__()
        first, *others = widths
        layers = [Grow(nn.ConvTranspose2d(embedding, first, START), nn.ReLU(inplace=True))]
        for before, after in zip(widths, others, strict=False):
            grow = nn.ConvTranspose2d(before, after, 4, 2, 1)
            layers.append(Grow(grow, nn.ReLU(inplace=True)))
        layers.append(Grow(nn.ConvTranspose2d(widths[-1], channels, 1)))
        self.model = nn.Sequential(*layers)

    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> tuple[Float[Tensor, "batch channels side side"], ...]:
        """The image, in a tuple of one."""
        return (self.picture(embedding),)

    def picture(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels side side"]:
        """The image."""
        return self.model(embedding[:, :, None, None])


def doubling(before: int, after: int) -> nn.Sequential:
    """Twice the side, gated: half the channels are what the other half lets through."""
    convolution = nn.Conv2d(before, 2 * after, 3, 1, 1, bias=False)
    return nn.Sequential(
        nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(2 * after), nn.GLU(1)
    )


def colouring(width: int, channels: int) -> nn.Sequential:
    """Maps to colours."""
    # The option files say a slope of 0.1; what they say never arrives.
    return nn.Sequential(
        nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.01), nn.Conv2d(width, channels, 1)
    )


class GatedDecoder(nn.Module):
    """Embedding to an image of 64 pixels, or to one of 64 and one of 128.

    Args:
        widths: channels at 4 pixels and after each doubling of the side.
        large: channels of one more doubling, for a second image; 0 is none.
    """

    def __init__(
        self,
        embedding: int = 512,
        widths: Sequence[int] = (512, 256, 128, 64, 32),
        large: int = 0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        flat = 2 * widths[0] * START * START
        linear = nn.Linear(embedding, flat, bias=False)
        self.fc = nn.Sequential(linear, nn.BatchNorm1d(flat), nn.GLU(1))
        layers = nn.Sequential(*(doubling(before, after) for before, after in pairwise(widths)))
        self.large, low = large, colouring(widths[-1], channels)
        if large:
            self.up_low_layers, self.gnet_low = layers, low
            self.up_mid_layer = doubling(widths[-1], large)
            self.gnet_mid = colouring(large, channels)
        else:
            self.up_layers, self.gnet = layers, low

    def forward(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> tuple[Float[Tensor, "batch channels height width"], ...]:
        """Images from small to large."""
        maps = self.maps(embedding)
        if not self.large:
            return (self.gnet(maps),)
        return self.gnet_low(maps), self.gnet_mid(self.up_mid_layer(maps))

    def picture(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels side side"]:
        """The largest image alone."""
        maps = self.maps(embedding)
        return self.gnet_mid(self.up_mid_layer(maps)) if self.large else self.gnet(maps)

    def maps(
        self, embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch width height width_"]:
        """What the smaller image is coloured from."""
        first = self.fc(embedding).unflatten(1, (-1, START, START))
        return (self.up_low_layers if self.large else self.up_layers)(first)


class SpeechFusionToFace(nn.Module):
    """A voice to a face image; the defaults are the first stage at 64 pixels."""

    def __init__(
        self,
        mels: int = 40,
        voice_widths: Sequence[int] = (256, 384, 576, 864),
        embedding: int = 512,
        inception: bool = True,
        fused: bool = False,
        gated: bool = True,
        face_widths: Sequence[int] = (512, 256, 128, 64, 32),
        large: int = 0,
    ) -> None:
        """Args: `gated` decoder, or the baseline's; `large`: see `GatedDecoder`."""
        super().__init__()
        if large and not gated:
            raise ValueError("Only the gated decoder makes a second image; large must be 0")
        self.encoder = SpeechEncoder(mels, voice_widths, embedding, inception, fused)
        if gated:
            self.decoder: nn.Module = GatedDecoder(embedding, face_widths, large)
        else:
            self.decoder = TransposedDecoder(embedding, face_widths)

    def forward(
        self, log_mels: Float[Tensor, "batch *segments mels frames"], together: bool = False
    ) -> tuple[tuple[Float[Tensor, "faces 3 height width"], ...], Float[Tensor, "faces embedding"]]:
        """Images from small to large, and the embeddings that they were decoded from.

        With `together` all of the batch is one voice: its mean embedding, not normalised again.
        """
        embedding = self.encoder(log_mels)
        if together:
            embedding = embedding.mean(0, keepdim=True)
        return self.decoder(embedding), embedding


def shown(
    image: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Colours from 0 to 1 where a screen can show them; what it cannot show lies beyond."""
    mean, deviation = (
        image.new_tensor(values)[:, None, None] for values in (COLOUR_MEAN, COLOUR_DEVIATION)
    )
    return image * deviation + mean


def coloured(
    pixels: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Colours from 0 to 1 as the networks read them: `shown` backwards."""
    mean, deviation = (
        pixels.new_tensor(values)[:, None, None] for values in (COLOUR_MEAN, COLOUR_DEVIATION)
    )
    return (pixels - mean) / deviation


def bytes_of(
    image: Float[Tensor, "batch 3 height width"],
) -> UInt8[Tensor, "batch 3 height width"]:
    """The picture to show, cut off as published, not rounded."""
    return (shown(image) * 255).clamp(0, 255).to(torch.uint8)

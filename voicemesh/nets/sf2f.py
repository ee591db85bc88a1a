"""The generator of SF2F (Bai et al., "Speech Fusion to Face"), its voice encoder and its options.

A voice encoder over segments, an attention fuser, and a face decoder. Images are in the colours
that ImageNet networks read, `bytes_of` undoes that. Keys are those of the published layout.
Source: BAI-Yeqi/SF2F_PyTorch, models/encoder_decoder.py, models/voice_encoders.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from .sf2f_attention import AttentionFuser
from .sf2f_decoders import GatedDecoder, TransposedDecoder

COLOUR_MEAN, COLOUR_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB
KERNELS = ((2, 1), (3, 1), (5, 2), (7, 3))  # width and padding of the four branches
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
        mixed, weights = self.attn_fuser.attend(segments)
        return functional.normalize(mixed), weights


def disturbed(
    unit: Float[Tensor, "batch embedding"], noise: Float[Tensor, "batch embedding"]
) -> Float[Tensor, "batch embedding"]:
    """Unit embeddings with noise, at unit length again: training of the baseline.

    Published, the baseline adds it in evaluation too, so its images are random.
    """
    return functional.normalize(unit + NOISE * noise)


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

"""SF2F, voice2face's critics and the face networks out of published state dicts.

The option is read off the tensors: a wrong one cannot be taken, as the authors' loader would.
"""

import re
from collections.abc import Callable
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.nets.sf2f import SpeechFusionToFace
from voicemesh.nets.sf2f_critics import IdentityCritic, PatchCritic
from voicemesh.nets.sf2f_facenet import FaceNet
from voicemesh.nets.sf2f_vggface import EXPANSION, VggFace

from .association import of, size
from .store import Tensors, fill

VOICE_WIDTHS = (256, 384, 576, 864)
FACE_WIDTHS, BASELINE_WIDTHS = (512, 256, 128, 64, 32), (1024, 512, 256, 128, 64)
BLOCKS, STAGE_WIDTHS = (3, 4, 6, 3), (64, 128, 256, 512)


def generator(tensors: Tensors, origin: str) -> nn.Module:
    """Whichever of the five options a `model_state` was trained by."""
    return fill(SpeechFusionToFace(**generator_arguments(tensors)), tensors, origin)


def generator_arguments(tensors: Tensors) -> dict[str, Any]:
    """The option and the sizes, read off the tensors."""
    inception = any(".conv_k2." in key for key in tensors)
    gated = "decoder.fc.0.weight" in tensors or not any(
        key.startswith("decoder.model.") for key in tensors
    )
    large = "decoder.up_mid_layer.1.weight" in tensors
    voice, face = of("encoder.model.", tensors), of("decoder.", tensors)
    return {
        **voice_arguments(voice, inception),
        "inception": inception,
        "fused": any(key.startswith("encoder.attn_fuser.") for key in tensors),
        "gated": gated,
        "face_widths": gated_widths(face, large) if gated else transposed_widths(face),
        "large": size(face, "gnet_mid.0.weight", 0, 16) if large else 0,
    }


def voice_arguments(tensors: Tensors, inception: bool) -> dict[str, Any]:
    """Mels, widths and embedding of the encoder; the published ones where a tensor lacks."""
    if inception:
        kernels = numbered(r"(\d+)\.conv_k3\.model\.0\.weight", tensors)
        widths = tuple(4 * kernel.shape[0] for kernel in kernels.values())
        first, last = "0.conv_k3.model.0.weight", f"{len(kernels)}.weight"
    else:
        kernels = numbered(r"(\d+)\.weight", tensors, axes=3)
        widths = tuple(kernel.shape[0] for kernel in list(kernels.values())[:-1])
        first, last = "0.weight", f"{max(kernels, default=12)}.weight"
    return {
        "mels": size(tensors, first, 1, 40),
        "voice_widths": widths or VOICE_WIDTHS,
        "embedding": size(tensors, last, 0, 512),
    }


def gated_widths(tensors: Tensors, large: bool) -> tuple[int, ...]:
    """Channels at four pixels and after each doubling."""
    layers = "up_low_layers" if large else "up_layers"
    kernels = numbered(rf"{layers}\.(\d+)\.1\.weight", tensors)
    if not kernels:
        return FACE_WIDTHS
    first = size(tensors, f"{layers}.0.1.weight", 1, FACE_WIDTHS[0])
    return (first, *(kernel.shape[0] // 2 for kernel in kernels.values()))


def transposed_widths(tensors: Tensors) -> tuple[int, ...]:
    """Channels after each transposed convolution but the last."""
    kernels = numbered(r"model\.(\d+)\.model\.0\.weight", tensors)
    return tuple(kernel.shape[1] for kernel in list(kernels.values())[:-1]) or BASELINE_WIDTHS


def image_critic(tensors: Tensors, origin: str) -> nn.Module:
    """`d_img_state_<i>`."""
    return fill(PatchCritic(*critic_arguments(of("cnn.", tensors))), tensors, origin)


def identity_critic(tensors: Tensors, origin: str) -> nn.Module:
    """`d_ac_state_<i>`, of as many identities as the file has."""
    arguments = identity_arguments(tensors)
    return fill(IdentityCritic(**arguments), tensors, origin)


def identity_arguments(tensors: Tensors) -> dict[str, Any]:
    """Identities, description and features of an identity critic."""
    architecture, normalised, slope = critic_arguments(of("cnn.0.", tensors))
    return {
        "identities": size(tensors, "id_classifier.weight", 0, 1000),
        "architecture": architecture,
        "normalised": normalised,
        "slope": slope,
        "features": size(tensors, "id_classifier.weight", 1, 1024),
    }


def critic_arguments(tensors: Tensors) -> tuple[str, bool, float]:
    """Description, norms and slope of the published critic that has these convolutions.

    Strides are not in the tensors: kernels of four have a stride of two, and the baseline, which
    alone has no norms, pads and ends without a stride.
    """
    kernels = numbered(r"(\d+)\.weight", tensors, axes=4)
    normalised = any(key.endswith("running_mean") for key in tensors)
    words = []
    for number, kernel in enumerate(kernels.values(), 1):
        after, _, _, taps = kernel.shape
        stride = 1 if taps == 1 or (not normalised and number == len(kernels)) else 2
        padding = int(not normalised and stride == 2)
        words.append(f"C{taps}-{after}-{stride}-{padding}")
    return ",".join(words), normalised, 0.1 if normalised else 0.2


def facenet(tensors: Tensors, origin: str) -> nn.Module:
    """The face network with or without its classes, which measures do not need."""
    net = FaceNet(size(tensors, "logits.weight", 0, 8631))
    headless = not any(key.startswith("logits.") for key in tensors)
    spare = {k: v for k, v in net.state_dict().items() if headless and k.startswith("logits.")}
    return fill(net, tensors | spare, origin)


def vggface(tensors: Tensors, origin: str) -> nn.Module:
    """ResNet-50 of VGGFace2; its pickle lacks the counters of the norms."""
    return fill(VggFace(**vggface_arguments(tensors)), tensors, origin)


def vggface_arguments(tensors: Tensors) -> dict[str, Any]:
    """Classes, blocks and widths."""
    found = numbered(r"layer(\d+)\.0\.conv3\.weight", tensors)
    blocks = [len(numbered(rf"layer{stage}\.(\d+)\.conv1\.weight", tensors)) for stage in found]
    widths = [kernel.shape[0] // EXPANSION for kernel in found.values()]
    return {
        "classes": size(tensors, "fc.weight", 0, 8631),
        "blocks": tuple(blocks) or BLOCKS,
        "widths": tuple(widths) or STAGE_WIDTHS,
    }


def numbered(
    pattern: str, tensors: Tensors, axes: int | None = None
) -> dict[int, Shaped[Tensor, "..."]]:
    """The tensors whose keys match, by the number in them, in order."""
    found = {}
    for key, value in tensors.items():
        match = re.fullmatch(pattern, key)
        if match and (axes is None or value.ndim == axes):
            found[int(match[1])] = value
    return {number: found[number] for number in sorted(found)}


# Constructor arguments of each net from its tensors.
ARGUMENTS: dict[type[nn.Module], Callable[[Tensors], dict[str, Any]]] = {
    SpeechFusionToFace: generator_arguments,
    PatchCritic: lambda tensors: dict(
        zip(
            ("architecture", "normalised", "slope"),
            critic_arguments(of("cnn.", tensors)),
            strict=True,
        )
    ),
    IdentityCritic: identity_arguments,
    FaceNet: lambda tensors: {"classes": size(tensors, "logits.weight", 0, 8631)},
    VggFace: vggface_arguments,
}

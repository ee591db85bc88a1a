"""VoiceStyle as its authors wrote it, out of checkouts on this disk, made to run on a CPU.

Nothing of theirs is kept here. What is exchanged, all of it: CUDA operators are not compiled (their
code goes around them on a CPU), one device name, two modules that are imported and not used, the
download of VGG-16, and the seeds of what they draw.
"""

import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn

from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Generator, published_widths

SIZE, FRAMES = 256, 800  # published
SEED, LAW_SEED = 1, 0  # of noise; of the 10,000 latents whose mean searches start from
UNUSED = {"IPython": ("embed",), "clip": ()}  # and the names that are imported
DEVICE = 'device = "cuda"'
FILES = {
    "generator": "550000.pt",
    "identity": "model_ir_se50.pth",
    "pair": "model_best_256.pth.tar",
    "backbone": "vgg16-397923af.pth",
    "channels": "vgg.pth",
}


def located(folders: Sequence[Path], name: str) -> Path:
    """A file in one of the folders, however deep.

    Raises:
        ValueError: in none.
    """
    for folder in folders:
        for file in sorted(folder.resolve().rglob(name)):
            return file
    raise ValueError(
        f"No {name} in {', '.join(map(str, folders))}; name checkouts of audio-visual/voicestyle"
        " and audio-visual/cmpc2"
    )


def published_files(folder: Path, checkouts: Sequence[Path]) -> dict[str, Path]:
    """Files of the published names and layout in a new folder, of random weights.

    They are calibrated: a random deep net is chaotic, and no two ways to add agree on it. The
    weights of LPIPS's channels are the published ones, as they come with the code.
    """
    torch.manual_seed(0)
    generator = Generator(published_widths(SIZE))
    with torch.no_grad():  # about the brightness and the noise of a trained one
        for name, value in generator.named_parameters():
            if name.endswith(("noise.weight", "activate.bias")):
                value.normal_(0, 0.1)
            if name.startswith("to_rgb") and name.endswith("conv.weight"):
                value.mul_(0.15)
    kept = {k: v for k, v in generator.state_dict().items() if not k.startswith("noises.")}
    identity, pair = IrBackbone(reduction=16, dropout=0.6), VoiceFacePair()
    calibrate(identity, torch.randn(8, 3, 112, 112))
    calibrate(pair.face_subnet, torch.randn(4, 3, SIZE, SIZE))
    calibrate(pair.voice_subnet, torch.randn(4, 1, 64, FRAMES))
    backbone = Lpips().net
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    layers = {f"features.{key.split('.', 1)[1]}": v for key, v in backbone.state_dict().items()}
    contents = {"generator": {"g_ema": kept}, "identity": identity.state_dict()}
    contents |= {"pair": {"model": pair.state_dict()}, "backbone": layers}
    folder.mkdir()
    files = {name: folder / file for name, file in FILES.items()}
    for name, content in contents.items():
        torch.save(content, files[name])
    channels = located(checkouts, str(Path("v0.1") / FILES["channels"]))
    shutil.copy(channels, files["channels"])
    return files


@torch.no_grad()
def calibrate(net: nn.Module, batch: torch.Tensor) -> None:
    """Set the norms of a random net to what they see."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = 1.0
    net.train()(batch)
    net.eval()


def authors_code(checkouts: Sequence[Path], files: dict[str, Path]) -> SimpleNamespace:
    """The authors' `projector`, `pipeline` and `model`, which read the files in our place.

    Raises:
        ValueError: the checkouts lack something, or it is not the code that is expected.
    """
    from torch.utils import cpp_extension
    from torchvision import models

    code = located(checkouts, "projector.py").parent
    sys.path[:0] = [str(code), str(located(checkouts, "fv_wrapper.py").parents[1])]
    for name, inside in UNUSED.items():
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(dict.fromkeys(inside))
    cpp_extension.load = lambda *_, **__: None
    plain = models.vgg16

    def vgg16(**_: Any) -> nn.Module:
        net = plain(weights=None)
        net.load_state_dict(torch.load(files["backbone"]), strict=False)  # the classifier lacks
        return net

    models.vgg16 = vgg16
    projector = on_cpu(code / "projector.py")
    pipeline, model = (importlib.import_module(name) for name in ("pipeline", "model"))
    seed(projector, pipeline)
    here = files["generator"].parent.parent / "generation"  # they read ../weights
    here.mkdir()
    os.chdir(here)
    return SimpleNamespace(projector=projector, pipeline=pipeline, model=model)


def on_cpu(path: Path) -> ModuleType:
    """A module whose functions name one device, with another one named."""
    text = path.read_text(encoding="utf-8")
    if text.count(DEVICE) != 1:
        raise ValueError(f"{path} says {DEVICE} {text.count(DEVICE)} times; once is expected")
    module = sys.modules[path.stem] = ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(text.replace(DEVICE, 'device = "cpu"'), path, "exec"), vars(module))
    return module


def seed(projector: ModuleType, pipeline: ModuleType) -> None:
    """Let both searches draw what ours do: latents for the law by one seed, noise by another."""

    class Seeded(projector.Generator):
        def make_noise(self) -> list[torch.Tensor]:
            noise = super().make_noise()
            torch.manual_seed(SEED)
            return noise

    def then(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*given: Any) -> Any:
            result = make(*given)
            torch.manual_seed(LAW_SEED)
            return result

        return made

    projector.Generator, pipeline.Generator = then(Seeded), Seeded
    pipeline.CMPCLoss = then(pipeline.CMPCLoss)

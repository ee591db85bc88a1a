"""The 3D face that a voice suggests.

    import voicemesh

    pipeline = voicemesh.load()          # the embedded bundle; or a folder, or "owner/name"
    portrait = pipeline("voice.wav")     # any sound file
    portrait.sex, portrait.pitch_hz, portrait.measurements
    portrait.face.vertices               # millimetres
    portrait.save("portrait")            # mesh.obj, mesh.ply, mesh.glb, preview.png, report.json

    pipeline(voicemesh.from_samples(44_100, samples))    # an array [n] or [n, channels]
    pipeline.several(["monday.wav", "friday.wav"])       # one voice, one portrait
    pipeline.photograph("face.jpg")                      # the head of a photograph
    pipeline.compare("one.wav", "other.wav")             # voices or photographs

`help(voicemesh.Pipeline)` tells what else it does. A recording that cannot be used is an
`UnusableRecording`, and every other mistake of a caller a ValueError as well; the message says what
to do. `Gallery.open` reads a gallery of people and `Bundle.open` a bundle, whose parts are nets;
`voicemesh.checkpoints.load(name, file)` reads a network that its authors published. The same from a
shell: `python -m voicemesh --help`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicemesh.audio.recording import Recording, UnusableRecording, from_samples
    from voicemesh.checkpoints.bundle import Bundle
    from voicemesh.gallery.gallery import Gallery
    from voicemesh.images import UnusablePhotograph
    from voicemesh.pipeline import Photographed, Pipeline, Portrait, load

__version__ = "0.1.0"
__all__ = [
    "Bundle",
    "Gallery",
    "Photographed",
    "Pipeline",
    "Portrait",
    "Recording",
    "UnusablePhotograph",
    "UnusableRecording",
    "from_samples",
    "load",
]
_ELSEWHERE = {  # than in `pipeline`
    "Bundle": "checkpoints.bundle",
    "Gallery": "gallery.gallery",
    "Recording": "audio.recording",
    "UnusablePhotograph": "images",
    "UnusableRecording": "audio.recording",
    "from_samples": "audio.recording",
}


def __dir__() -> list[str]:
    """The public names too, though they are not imported yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Public names and rooms, imported on first use: `import voicemesh` alone costs nothing."""
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'pipeline')}"), name)
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"voicemesh has no {name!r}; it has {', '.join(__all__)}")

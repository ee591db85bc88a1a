"""The 3D face that a voice suggests.

    import voicemesh

    pipeline = voicemesh.load()          # the embedded bundle; or a folder, or "owner/name"
    portrait = pipeline("voice.wav")     # any sound file, or a Recording
    portrait.sex, portrait.pitch_hz, portrait.measurements
    portrait.face.vertices               # millimetres
    portrait.save("portrait")            # mesh.obj, mesh.ply, mesh.glb, preview.png, report.json

`help(voicemesh.Pipeline)` tells what else it does: portraits of several recordings of one voice,
of photographs, and where two of them differ. A recording that cannot be used is a ValueError whose
message says why. The same from a shell: `python -m voicemesh --help`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicemesh.pipeline import Pipeline, Portrait, load

__version__ = "0.1.0"
__all__ = ["Pipeline", "Portrait", "load"]


def __dir__() -> list[str]:
    """The public names too, though they are not imported yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """The public names, imported on first use: `import voicemesh` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"voicemesh has no {name!r}; it has {', '.join(__all__)}")
    from voicemesh import pipeline

    return getattr(pipeline, name)

"""voicemesh: the 3D face that a voice suggests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicemesh.pipeline import Pipeline, Portrait, load

__all__ = ["Pipeline", "Portrait", "load"]


def __getattr__(name: str) -> Any:
    """The public names, imported on first use: `import voicemesh` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"voicemesh has no {name!r}; it has {', '.join(__all__)}")
    from voicemesh import pipeline

    return getattr(pipeline, name)

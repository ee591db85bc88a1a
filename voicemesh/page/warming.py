"""What is done once before anybody asks, so that the first visitor waits no longer than others."""

import json

from voicemesh import images
from voicemesh.pipeline import Pipeline

from .portraying import evidence, portray
from .recorder import EXAMPLES


def warm_up(whole: Pipeline) -> None:
    """Go the whole way of a voice and of a photograph: what is loaded late is loaded then."""
    whole.warm_up()
    example = json.loads((EXAMPLES / "examples.json").read_text())[0]
    portrait = portray(whole, str(EXAMPLES / example["file"]), "skin")[0]
    evidence(portrait, "skin")
    whole.pictured(portrait)
    whole.compare(portrait, portrait)
    if whole.reader is not None:
        whole.photograph(images.read(EXAMPLES / example["picture"]))

"""Pictures inside the page itself, where nobody else can ask for them."""

import base64
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

TYPES = {b"RIFF": "image/webp", b"\x89PNG": "image/png", b"OggS": "audio/ogg"}
SHARP = 384  # pixels that a picture has at least on the page: browsers enlarge without care
SMALL = 128  # and one in a row of many


def figure(
    pixels: UInt8[np.ndarray, "height width 3"],
    title: str,
    words: str,
    best: bool = False,
    alt: str = "{title}",
    side: int = SHARP,
) -> str:
    """A picture with its caption, and what is said to whom it is not shown."""
    buffer = BytesIO()
    enlarged(Image.fromarray(pixels), side).save(buffer, "WEBP", quality=90)
    return (
        f"<figure{' class=best' if best else ''}><img alt='{alt.format(title=title)}'"
        f" src='"
        f"{inline(buffer.getvalue())}'><figcaption><b>{title}</b> {words}</figcaption></figure>"
    )


def enlarged(picture: Image.Image, side: int) -> Image.Image:
    """A picture at least `side` pixels wide; larger ones stay as they are."""
    if picture.width >= side:
        return picture
    height = round(picture.height * side / picture.width)
    return picture.resize((side, height), Image.Resampling.LANCZOS)


def inline(content: bytes) -> str:
    """A picture or a recording as an address."""
    kind = TYPES.get(content[:4], "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

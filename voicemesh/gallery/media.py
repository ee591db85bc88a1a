"""Pictures and voices as a gallery keeps them: small files whose bytes depend on nothing else."""

from io import BytesIO

import numpy as np
from jaxtyping import Float, UInt8

from voicemesh.audio.recording import SAMPLE_RATE

PICTURE_SIDE = 160  # pixels, at most
PICTURE_QUALITY = 85
VOICE_BITS = 24_000  # per second
VOICE_SECONDS = 6.0  # at most
FADE = 0.02  # seconds at both ends


def picture_bytes(
    picture: UInt8[np.ndarray, "height width 3"],
    side: int = PICTURE_SIDE,
    quality: int = PICTURE_QUALITY,
) -> bytes:
    """A picture as WebP, scaled down to `side` pixels where it is larger."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    written = BytesIO()
    image.save(written, "WEBP", quality=quality, method=6)
    return written.getvalue()


def voice_bytes(
    waveform: Float[np.ndarray, " samples"], seconds: float = VOICE_SECONDS, bits: int = VOICE_BITS
) -> bytes:
    """The beginning of a waveform at 16 kHz as Opus in Ogg.

    FFmpeg writes it, asked for the same bytes every time: libsndfile draws a random stream number.
    """
    import av

    kept = waveform[: int(seconds * SAMPLE_RATE)]
    places = np.arange(len(kept)) / (FADE * SAMPLE_RATE)
    faded = kept * np.minimum(1, np.minimum(places, places[::-1]))
    samples = np.rint(faded.clip(-1, 1) * 32767).astype(np.int16)
    written = BytesIO()
    with av.open(written, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = bits
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate, frame.pts = SAMPLE_RATE, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return written.getvalue()

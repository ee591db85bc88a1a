import numpy as np
import pytest
from conformance.waveforms import synthetic_voice


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """Three seconds of something like a voice, 16 kHz."""
    return synthetic_voice("audio", "voice", 3.0).astype(np.float32) / 32768

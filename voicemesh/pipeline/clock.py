"""Where the time of a portrait goes."""

import time
from collections.abc import Mapping


class Clock:
    """Seconds between laps by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.start = self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End the lap of this name."""
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now

    def finish(self) -> Mapping[str, float]:
        """All laps and their total."""
        return self.laps | {"total": time.perf_counter() - self.start}

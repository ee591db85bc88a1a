"""How long work takes: the same two answers for every benchmark."""

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def fastest(
    run: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds of the fastest run after one to warm up: the one that was disturbed least."""
    run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)


def median(run: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """Median seconds of processor time after one run to warm up, and what came out."""
    result, times = run(), []
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return statistics.median(times), result

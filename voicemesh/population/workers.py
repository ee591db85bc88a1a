"""Jobs one after the other, or in processes of their own."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

log = logging.getLogger(__name__)
Done = TypeVar("Done")


def each(
    work: Callable[..., Done], jobs: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Done]:
    """`work(*job)` of every job, as they get done.

    Where there are several workers, `work` and the jobs must be picklable. An interruption ends
    the work after the jobs that are begun, so that none leaves half a file.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield work(*job)
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"))
    try:
        with uninterrupted():  # Ctrl-C reaches the workers too: they leave it to their parent
            begun = [pool.submit(work, *job) for job in jobs]
        for done in as_completed(begun):
            yield done.result()
    except KeyboardInterrupt:
        log.info("interrupted: waiting for the jobs at work")
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C does nothing meanwhile, and never anything to processes begun meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted, or may say what that does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

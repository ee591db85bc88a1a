"""The page: speak or upload a recording, see the face that the voice suggests.

`python app.py` serves it on this machine; on a Space the same file runs as it is.
"""

import argparse
import logging
import os
import threading
from collections.abc import Sequence

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

from voicemesh import pipeline
from voicemesh.page import build_page, warm_up
from voicemesh.page.theme import SERVING, theme


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description="The 3D face that a voice suggests, as a page.")
    parser.add_argument("--share", action="store_true", help="also over a public gradio.live link")
    parser.add_argument("--host", help="address to listen on: 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, help="the first free one from 7860 on if not given")
    parser.add_argument("--bundle", help="a folder or owner/name[@revision] instead of our own")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; a CUDA GPU if there is one")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        whole = pipeline.load(arguments.bundle, arguments.device)
    except ValueError as error:
        parser.error(str(error))
    page = build_page(whole)
    page.queue(max_size=32).launch(
        prevent_thread_lock=True,
        share=arguments.share and "SPACE_ID" not in os.environ,
        server_name=arguments.host,
        server_port=arguments.port,
        theme=theme(),
        **SERVING,
    )
    threading.Thread(target=warm_up, args=(whole,), daemon=True, name="warm-up").start()
    page.block_thread()


if __name__ == "__main__":
    main()

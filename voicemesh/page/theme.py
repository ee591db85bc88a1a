"""How the page looks: what `launch` is told wherever it is served."""

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parents[2] / "assets"
SCRIPTS = ("graphics.js", "viewer.js")  # in this order
SERVING = {
    "css_paths": ASSETS / "style.css",
    "head": "".join(
        f"<script>{(ASSETS / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS
    ),
    "footer_links": ["api"],
    "run_history": False,  # or the browser would store voices
    "enable_monitoring": False,
    "max_file_size": "200mb",
    "ssr_mode": False,  # the heads are drawn by the browser
    # Or gradio takes three seconds without an answer, as busy machines need them, for an error.
    "_frontend": False,
}


def theme() -> gr.themes.Base:
    """Slate and terracotta, in fonts that come with the page's own server."""
    terracotta = gr.themes.Color(
        *("#fdf5f1", "#fbe7de", "#f6cdbc", "#eeac92", "#e58e6d", "#db7350", "#bb5231"),
        *("#a5482d", "#863c28", "#6e3424", "#3b1910"),
        name="terracotta",
    )
    return gr.themes.Base(
        primary_hue=terracotta,
        secondary_hue=terracotta,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=[gr.themes.utils.fonts.LocalFont("IBM Plex Sans", (400, 700)), "system-ui"],
        font_mono=[gr.themes.utils.fonts.LocalFont("IBM Plex Mono", (400, 700)), "monospace"],
    ).set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",  # 4.5 : 1 and more on the backdrop
        body_text_color_subdued_dark="*neutral_400",
        block_border_width="0px",
        block_shadow="0 1px 2px rgb(15 23 42 / .06), 0 6px 24px -12px rgb(15 23 42 / .16)",
        block_label_background_fill="transparent",
        block_label_border_width="0px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )

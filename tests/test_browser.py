"""The page in a real browser: upload and speak, press the button, see the mesh."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bundles import babble
from PIL import Image
from skimage import data
from whole_bundles import write_whole_bundle

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
]
PATIENCE = 60_000  # ms: a mesh drawn in software on a busy machine

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine"),
]
SHOWS_A_MESH = """(before) => {
  const plot = document.querySelector("#mesh .js-plotly-plot");
  const trace = plot && plot._fullData && plot._fullData[0];
  const another = () => plot.before && plot.data[0].x !== plot.before;
  return trace && trace.x.length > 0 && (!before || another());
}"""
MARK = """() => {
  const plot = document.querySelector("#mesh .js-plotly-plot");
  plot.before = plot.data[0].x;
}"""


DRAWN = """([place, view]) => {
  const plot = document.querySelector(place + " .js-plotly-plot");
  return plot && plot.layout.meta && view in plot.layout.meta.views
    && plot._fullData.some((trace) => trace.visible && trace.x && trace.x.length);
}"""


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    wave = np.repeat(babble(6.0), 3)  # 48 kHz, as the fake microphone wants it
    soundfile.write(path, wave, 48_000, "PCM_16")
    return path


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """`python app.py` with a bundle of untrained nets; yields its address."""
    folder = tmp_path_factory.mktemp("served")
    port = 7900 + os.getpid() % 90
    command = [
        sys.executable,
        str(ROOT / "app.py"),
        "--bundle",
        str(write_whole_bundle(folder / "b")),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    log = (folder / "log.txt").open("w")
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(1800):
            try:
                urllib.request.urlopen(address, timeout=1).read()
                break
            except OSError:
                assert server.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def browser(voice):
    """Chromium whose microphone hears the voice."""
    from playwright.sync_api import sync_playwright

    microphone = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={voice}",
    ]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *microphone]
        )
        yield launched
        launched.close()


def opened(browser, url, width, height):
    """The page with the average face on it, which is marked as seen; and requests that went out."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, permissions=["microphone"]
    )
    page, outside = context.new_page(), []
    page.on("request", lambda request: outside.append(request.url))
    page.goto(url)
    page.wait_for_function(SHOWS_A_MESH, timeout=PATIENCE)
    page.evaluate(MARK)
    return page, outside


def press(page) -> None:
    """Press the button and wait for another mesh."""
    page.get_by_role("button", name="Show the face", exact=True).click()
    page.wait_for_function(SHOWS_A_MESH, arg=True, timeout=PATIENCE)


def upload(page, path) -> None:
    """Choose a file as a visitor does."""
    recorder = page.locator("#voice")
    recorder.get_by_label("Upload file").click()
    recorder.locator("input[type=file]").set_input_files(path)
    recorder.locator(".waveform-container").first.wait_for()


def colours(page) -> int:
    """How many colours a picture of the viewer holds: a blank canvas has few."""
    from io import BytesIO

    page.wait_for_timeout(1000)
    picture = Image.open(BytesIO(page.locator("#mesh").screenshot())).convert("RGB")
    return len(np.unique(np.asarray(picture.resize((96, 96))).reshape(-1, 3), axis=0))


def pixels(page) -> np.ndarray:
    """A picture of the head at rest, when it is drawn finely."""
    from io import BytesIO

    fine = "_fullLayout.scene._scene.glplot.pixelRatio == 2"
    page.wait_for_function(
        f"() => document.querySelector('#mesh .js-plotly-plot').{fine}", timeout=PATIENCE
    )
    page.wait_for_timeout(1000)
    picture = Image.open(BytesIO(page.locator("#mesh").screenshot())).convert("RGB")
    return np.asarray(picture.resize((240, 180))).astype(int)


def test_a_head_goes_straight_to_the_graphics_as_plotly_would_draw_it(browser, url, voice):
    page, _ = opened(browser, url, 1280, 1000)
    upload(page, voice)
    page.evaluate(
        "() => { window.asked = 0; const whole = Plotly.react;"
        " Plotly.react = (...told) => { asked++; return whole(...told) } }"
    )
    before = pixels(page)
    press(page)
    assert page.evaluate("asked") == 0
    poured, plot = pixels(page), "document.querySelector('#mesh .js-plotly-plot')"
    assert np.abs(poured - before).mean() > 0.5  # another head
    page.evaluate(f"Plotly.redraw({plot})")
    assert np.abs(pixels(page) - poured).mean() < 0.1


def test_upload_to_mesh_views_and_files(browser, url, voice):
    page, outside = opened(browser, url, 1280, 1000)
    upload(page, voice)
    press(page)
    assert colours(page) > 300
    assert "Habitual pitch" in page.locator("#facts").inner_text()
    assert "Cheekbone breadth" in page.locator("#lengths").inner_text()
    page.locator("#sound svg path.speech").wait_for(state="attached", timeout=PATIENCE)
    assert page.evaluate("document.querySelector('#sound img').naturalWidth") > 100

    plot = "document.querySelector('#mesh .js-plotly-plot')"
    page.wait_for_function(f"() => Object.keys({plot}.layout.meta.views).length == 3")
    assert page.evaluate(f"!!{plot}.before")  # drawn in the plot that was there
    for view, name in (("How sure", "uncertainty"), ("Grey", "grey"), ("Skin", "skin")):
        page.locator("#view").get_by_text(view).click()
        wanted = f"{plot}.layout.meta.views['{name}'].vertexcolor[0].bdata"
        page.wait_for_function(f"() => {plot}.data[0].vertexcolor.bdata === {wanted}")
        assert page.evaluate(f"{plot}._fullData[1].visible") is (name == "uncertainty")
    graphics = f"{plot}._fullLayout.scene._scene.glplot"
    page.wait_for_function(f"() => {graphics}.pixelRatio == 2", timeout=PATIENCE)  # at rest
    box = page.locator("#mesh").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 340, box["y"] + 300)
    assert page.evaluate(f"{graphics}.pixelRatio") == 1  # while it moves, without a GPU
    page.mouse.up()
    page.wait_for_function(f"() => {graphics}.pixelRatio == 2", timeout=PATIENCE)
    x = page.evaluate(f"{plot}._fullLayout.scene._scene.getCamera().eye.x")
    page.locator("#mesh").focus()
    page.keyboard.press("ArrowRight")
    turned = f"() => {plot}._fullLayout.scene._scene.getCamera().eye.x > {x} + 0.1"
    page.wait_for_function(turned, timeout=PATIENCE)
    page.keyboard.press("Home")
    front = f"{plot}.layout.meta.front.eye.x"
    there = f"{plot}._fullLayout.scene._scene.getCamera().eye.x"
    page.wait_for_function(f"() => Math.abs({there} - {front}) < 0.01", timeout=PATIENCE)

    with page.expect_download(timeout=PATIENCE) as waited:  # the button waits for its file
        page.locator("#downloads").get_by_role("button", name="GLB").click(timeout=PATIENCE)
    assert waited.value.suggested_filename == "mesh.glb"
    assert Path(waited.value.path()).read_bytes()[:4] == b"glTF"
    assert all(address.startswith((url, "data:", "blob:")) for address in outside)


def test_microphone_to_mesh_on_a_phone(browser, url):
    page, _ = opened(browser, url, 390, 844)
    recorder = page.locator("#voice")
    recorder.locator("button.record-button").click()
    page.wait_for_timeout(4000)
    recorder.locator("button.stop-button:visible").click()
    recorder.locator(".waveform-container").first.wait_for()
    press(page)
    assert colours(page) > 200
    assert "s of speech" in page.locator("#caption").inner_text()
    page.wait_for_function("() => window.scrollY > 100")  # to the face
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    top = [page.locator(place).bounding_box()["y"] for place in ("#input", "#result", "#evidence")]
    assert top == sorted(top)  # one column, the face before its evidence


def test_mistakes_are_told_on_the_page(browser, url, tmp_path):
    page, _ = opened(browser, url, 1280, 1000)
    page.get_by_role("button", name="Show the face", exact=True).click()
    toast = page.get_by_test_id("toast-body")
    toast.wait_for()
    assert "Record your voice or choose a file first" in toast.inner_text()
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(48_000), 16_000)
    upload(page, silent)
    page.get_by_role("button", name="Show the face", exact=True).click()
    page.get_by_text("silent.wav is silent").wait_for()
    page.wait_for_timeout(500)
    assert not page.locator("#result .error").filter(visible=True).count()  # told once
    heading = "getComputedStyle(document.querySelector('.toast-title.error'), '::before').content"
    assert page.evaluate(heading) == '"Not yet"'
    assert not page.locator("[data-earlier]").count()  # there is nothing of an earlier voice


def test_what_cannot_be_used_leaves_what_stood_there(browser, url, tmp_path):
    page, _ = opened(browser, url, 1280, 1000)
    example = page.locator("#examples button").first
    example.click()
    page.wait_for_function(SHOWS_A_MESH, arg=True, timeout=PATIENCE)
    page.locator("#facts").get_by_text("Furthest from").wait_for(timeout=PATIENCE)
    told = page.locator("#facts").inner_text()
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(48_000), 16_000)
    page.locator("#voice").get_by_label("Clear").first.click()
    upload(page, silent)
    page.evaluate(MARK)
    page.get_by_role("button", name="Show the face", exact=True).click()
    page.locator("#viewer[data-earlier]").wait_for(timeout=PATIENCE)
    assert page.locator("#facts[data-earlier]").count()
    assert page.locator("#facts").inner_text() == told
    example.click()
    page.wait_for_function(SHOWS_A_MESH, arg=True, timeout=PATIENCE)
    page.wait_for_function("() => !document.querySelector('#viewer[data-earlier]')")


def test_everything_else_follows_an_example(browser, url):
    page, _ = opened(browser, url, 1280, 1000)
    page.locator("#examples button").first.click()
    page.wait_for_function(SHOWS_A_MESH, arg=True, timeout=PATIENCE)
    page.locator("#voice .waveform-container").first.wait_for()

    found = page.locator("#matches")
    found.locator("figure").nth(7).wait_for(timeout=PATIENCE)
    assert "speaker is in the gallery" in found.inner_text()
    assert "By luck alone" in found.inner_text() and found.locator("svg line").count() > 8
    sex = page.locator("#facts strong").first.inner_text()
    found.get_by_text("Same sex").click()
    word = {"Female": "Woman", "Male": "Man"}[sex]
    page.wait_for_function(
        "(word) => { const names = [...document.querySelectorAll('#matches figure b')];"
        " return names.length == 6 && names.every((name) => name.textContent.startsWith(word)) }",
        arg=word,
        timeout=PATIENCE,
    )
    found.get_by_text("CMPC").click()
    page.locator("#branches img").nth(1).wait_for(timeout=PATIENCE)
    assert "Ear to ear" in page.locator("#branches").inner_text()
    page.locator("#imagined").get_by_text("done").wait_for(timeout=PATIENCE)
    assert page.locator("#imagined img").count() == 2  # the image, and the head's mesh
    assert page.locator("#grown img").count() == 8


def test_two_voices_and_a_photograph(browser, url, tmp_path):
    page, outside = opened(browser, url, 1280, 1000)
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_function(DRAWN, arg=["#compare-mesh", "skin"], timeout=PATIENCE)  # the average
    assert page.locator("#compare-mesh[tabindex='0']").count() == 1
    assert not page.locator("#compare-view").is_visible()
    page.locator("#pairs button").first.click()
    page.wait_for_function(DRAWN, arg=["#compare-mesh", "difference"], timeout=PATIENCE)
    assert "mm apart" in page.locator("#compare-table").inner_text()
    assert "pairs of recordings of one voice" in page.locator("#compare-facts").inner_text()
    plot = "document.querySelector('#compare-mesh .js-plotly-plot')"
    page.locator("#compare-view").get_by_text("First").click()
    page.wait_for_function(f"() => {plot}._fullData[0].visible && !{plot}._fullData[1].visible")
    page.locator("#kind").get_by_text("One voice").click()
    page.locator("#more").wait_for()
    page.get_by_role("button", name="Make one face of all").click()
    page.locator("#compare-facts").get_by_text("Recordings apart").wait_for(timeout=PATIENCE)

    page.get_by_role("tab", name="A photograph").click()
    photograph = tmp_path / "astronaut.jpg"
    Image.fromarray(data.astronaut()).save(photograph)
    page.locator("#photograph input[type=file]").first.set_input_files(photograph)
    page.locator("#photograph img").first.wait_for()
    page.get_by_role("button", name="Read the face").click()
    page.locator("#photo-pictures img").nth(1).wait_for(timeout=PATIENCE)
    page.locator("#photo-view").get_by_text("Grey").wait_for()
    page.wait_for_function(DRAWN, arg=["#photo-mesh", "grey"], timeout=PATIENCE)
    page.locator("#voice-matches audio").nth(7).wait_for(timeout=PATIENCE)
    page.locator("#portraits button").first.click()
    page.locator("#photograph img[src*='woman-22']").wait_for(timeout=PATIENCE)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")
    page.get_by_role("tab", name="Compare").click()  # which kept its heads
    page.wait_for_function(DRAWN, arg=["#compare-mesh", "spread"], timeout=PATIENCE)
    assert all(address.startswith((url, "data:", "blob:")) for address in outside)

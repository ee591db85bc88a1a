"""The page without a browser: its handlers, what it is built of, what it answers over HTTP."""

import json
import re
import time
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile
from bundles import babble, write_bundle
from PIL import Image
from skimage import data
from whole_bundles import SPEAKER, write_whole_bundle

from voicemesh import figures, images, pipeline
from voicemesh.latent.search import SearchOptions
from voicemesh.page import (
    branches,
    build_page,
    comparison,
    image,
    layout,
    matches,
    photograph,
    portraying,
    viewer,
    warm_up,
)
from voicemesh.page.cards import summary
from voicemesh.page.files import FILES, KEEP, save
from voicemesh.page.lengths import strip
from voicemesh.page.recorder import EXAMPLES
from voicemesh.page.theme import SERVING
from voicemesh.page.viewer import switch_view
from voicemesh.systems.voicestyle import Wish


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pipeline.Pipeline:
    return pipeline.load(write_bundle(tmp_path_factory.mktemp("bundle")), "cpu")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    soundfile.write(path, babble(3.0), 16_000)
    return str(path)


@pytest.fixture(scope="module")
def shown(whole, spoken):
    return portraying.portray(whole, spoken, "skin")


def test_portray_shows_the_head_and_nothing_else(shown):
    portrait, head = shown
    assert head["view"] == "skin" and list(head["views"]) == ["skin"]
    assert [trace["type"] for trace in head["traces"][:2]] == ["mesh3d", "scatter3d"]
    assert next(iter(portrait.timings)) == "reading the file" and "drawing" in portrait.timings


def test_facts_follow_the_head(shown):
    portrait = shown[0]
    caption, facts, clock, *_ = portraying.evidence(portrait, "skin")
    assert f"{portrait.speech_seconds:.1f} s" in caption and "Not a likeness" in caption
    assert portrait.sex.capitalize() in facts and portrait.face_type.capitalize() in facts
    assert f"{portrait.pitch_hz.value:.0f} <small>Hz" in facts
    sex = {"female": "woman", "male": "man"}[portrait.sex]
    sure = re.escape("(± holds 80 % of people)")
    words = re.search(rf"Furthest from the mean {sex} {sure}: (.+?)\.</p>", facts)[1]
    assert words.count(" mm") == words.count(" ± ") == words.count("<b>") == 3
    assert "listening" in clock and re.search(r"<summary>Heard and drawn in \d+\.\d\d s<", clock)


def test_evidence_follows_the_head(shown):
    *_, views, lengths, sound = portraying.evidence(shown[0], "skin")
    assert set(views) == set(figures.VIEWS) - {"skin"}
    assert lengths.count("class='length'") == len(shown[0].measurements)
    assert lengths.count("role='img'") == len(shown[0].measurements)
    assert sound.startswith("<figure class='heard'")


def test_best_explained_lengths_come_first(shown):
    lengths = portraying.evidence(shown[0], "skin")[4]
    shares = [float(share) for share in re.findall(r"<span role='cell'>(\d+) %", lengths)]
    assert len(shares) > 20 and shares == sorted(shares, reverse=True)


def test_view_is_kept(whole, spoken):
    for view in ("uncertainty", "grey"):
        portrait, head = portraying.portray(whole, spoken, view)
        assert head["view"] == view
        assert head["views"][view]["visible"][1] is (view == "uncertainty")
        assert set(portraying.evidence(portrait, view)[3]) == set(figures.VIEWS) - {view}


def test_asked_hair_is_worn():
    whole = pipeline.load(None, "cpu")
    voice = str(EXAMPLES / "man-27.flac")
    hair = {
        style: portraying.portray(whole, voice, "skin", style)[0].hair
        for style in ("none", "short", "long", None)
    }
    assert len(hair["none"].triangles) < len(hair["short"].triangles)
    down = {style: worn.vertices[:, 1].min() for style, worn in hair.items()}
    assert down["long"] < down["short"] - 50  # mm
    assert down[None] == down["short"]  # as is the custom of men


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "Record your voice"), (b"", ""), (b"not a sound" * 50, ""), ("silence", "silent")],
)
def test_unusable_recordings_are_told_without_paths(whole, tmp_path, content, words):
    path = tmp_path / "server-folder" / "mine.wav"
    path.parent.mkdir()
    if content == "silence":
        soundfile.write(path, np.zeros(32_000), 16_000)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(gr.Error) as caught:
        portraying.portray(whole, str(path) if content is not None else None, "skin")
    assert words in caught.value.message
    assert "server-folder" not in caught.value.message
    assert not caught.value.print_exception


def test_names_and_notes_are_escaped(whole):
    from voicemesh.audio.recording import Recording

    wild = Recording(babble(2.0), name="<b>x</b>", notes=("<script>alert(1)</script>",))
    portrait = whole(wild)
    assert "<script>" not in summary(portrait)
    assert "&lt;script&gt;" in summary(portrait)


def test_strip_stays_inside_its_row():
    row = pipeline.Measurement("x", "X", "mm", 900.0, 890.0, 910.0, 100.0, 5.0, 0.5, 0.6)
    places = [float(n) for n in re.findall(r"left:(-?[\d.]+)%", strip(row))]
    assert all(0 <= place <= 100 for place in places)


def test_files_are_written_and_old_ones_swept(shown, tmp_path):
    import os

    old = tmp_path / "old"
    old.mkdir()
    (old / "mesh.obj").touch()
    os.utime(old, (time.time() - 2 * KEEP,) * 2)
    paths = [Path(path) for path in save(shown[0], tmp_path)]
    assert [path.suffix[1:] for path in paths] == list(FILES)
    assert all(path.stat().st_size for path in paths)
    assert set(paths[0].parent.iterdir()) == set(paths)
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 1
    save(shown[0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_examples_are_there_and_synthetic():
    entries = json.loads((EXAMPLES / "examples.json").read_text())
    assert {entry["label"].split(",")[0] for entry in entries} == {"Woman", "Man"}
    for entry in entries:
        info = soundfile.info(EXAMPLES / entry["file"])
        assert 4 <= info.duration <= 8 and info.samplerate == 16_000
        assert entry["source"].startswith("synthetic voice")
        assert images.find_face(images.read(EXAMPLES / entry["picture"])).notes == ()


def test_page_has_named_events_and_keeps_no_history(whole):
    page = build_page(whole)
    events = {fn.api_name: fn for fn in page.fns.values()}
    assert {"portray", "evidence", "files", "average"} <= set(events)
    assert events["portray"].concurrency_limit == 2
    assert page.delete_cache == (KEEP // 2, KEEP)
    switches = [fn for fn in page.fns.values() if fn.js == switch_view("mesh")]
    assert len(switches) == 1 and switches[0].fn is None  # no voice is read again


def test_nothing_is_asked_for_before_the_head_is_drawn(everything):
    events = {number: fn for number, fn in build_page(everything).fns.items()}
    portray = next(number for number, fn in events.items() if fn.api_name == "portray")
    after = [fn for fn in events.values() if fn.trigger_after == portray]
    after.sort(key=lambda fn: fn.trigger_only_on_failure)
    assert len(after) == 2 and after[0].fn is after[1].fn is None
    assert after[1].js.startswith('() => voicemesh.keep(\'mesh\', ["viewer", "facts"')
    assert after[0].js.startswith("(head) => voicemesh.draw('mesh', head")
    follow = [fn for fn in events.values() if fn.trigger_after == after[0]._id]
    assert [fn.api_name for fn in follow] == ["evidence"]


def test_a_press_is_one_request(everything):
    """More events of one press would wait for each other in the browser."""
    page = build_page(everything)
    pressed = {"run", "compare", "read"}
    heard = {
        block.elem_id: [fn for fn in page.fns.values() if (block._id, "click") in fn.targets]
        for block in page.blocks.values()
        if getattr(block, "elem_id", None) in pressed
    }
    assert set(heard) == pressed and all(len(found) == 1 for found in heard.values())


def test_other_places_begin_with_the_first_head(everything):
    page = build_page(everything)
    plots = [block for block in page.blocks.values() if isinstance(block, gr.Plot)]
    lent = [fn for fn in page.fns.values() if fn.js == viewer.LEND.format(count=2)]
    assert [plot.elem_id for plot in plots] == list(viewer.PLACES)
    assert lent[0].inputs == plots[:1] and lent[0].outputs == plots[1:] and lent[0].fn is None


def test_nothing_on_the_page_sends_a_voice_elsewhere(everything):
    recorders = [one for one in build_page(everything).blocks.values() if isinstance(one, gr.Audio)]
    assert len(recorders) == 3 and all(one.buttons == ["download"] for one in recorders)


def test_nothing_is_loaded_for_the_first_visitor(tmp_path):
    whole = pipeline.load(write_whole_bundle(tmp_path / "b"), "cpu")
    warm_up(whole)
    assert whole.openness is not None
    loaded = {"matcher", "imaginer", "speech_to_face", "reader", "repeats", "parts"}
    assert loaded <= set(whole.__dict__)


def test_a_machine_that_is_slow_to_answer_serves_the_page(whole, monkeypatch):
    monkeypatch.setattr(gr.networking, "url_ok", lambda url: False)
    page = build_page(whole)
    try:
        _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, **SERVING)
        assert url.startswith("http")
    finally:
        page.close()


def test_page_answers_over_http(whole, spoken, tmp_path, monkeypatch):
    from gradio_client import Client, handle_file

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = build_page(whole)
    _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, **SERVING)
    try:
        client = Client(url, verbose=False, download_files=str(tmp_path / "client"))
        head = client.predict(handle_file(spoken), "grey", api_name="/portray")
        assert head["view"] == "grey" and head["traces"][0]["type"] == "mesh3d"
        plot = json.loads(client.predict(api_name="/average")["plot"])["data"][0]
        assert (plot["type"], plot["x"]["dtype"], plot["i"]["dtype"]) == ("mesh3d", "f4", "u2")
        told = client.predict("grey", api_name="/evidence")
        _, facts, _, views, lengths, *_ = told
        assert "Habitual pitch" in facts
        assert set(views) == {"skin", "uncertainty"} and "class='length'" in lengths
        files = client.predict(api_name="/files")
        names = [Path(entry["value"] if isinstance(entry, dict) else entry).name for entry in files]
        assert names == ["mesh.glb", "mesh.obj", "mesh.ply", "preview.png", "report.json"]
        with pytest.raises(Exception, match="silent") as caught:
            silent = tmp_path / "silent.wav"
            soundfile.write(silent, np.zeros(32_000), 16_000)
            client.predict(handle_file(str(silent)), "skin", api_name="/portray")
        assert str(tmp_path) not in str(caught.value)
    finally:
        page.close()


def test_nothing_of_a_visitor_stays_on_the_disk(everything, spoken, tmp_path, monkeypatch):
    from gradio_client import Client, handle_file

    cache = tmp_path / "cache"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(cache))
    monkeypatch.setattr(layout, "KEEP", 10)
    page = build_page(everything)
    _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, **SERVING)
    try:
        visitor = Client(url, verbose=False, download_files=False)
        visitor.predict(handle_file(spoken), "skin", api_name="/portray")
        uploaded = [Path(path) for path in page.upload_file_set]
        visitor.predict(api_name="/files")
        seen = set()
        for _ in range(120):
            kept = {path for path in (*cache.rglob("*"), *uploaded) if path.is_file()}
            seen |= {path.name for path in kept}
            if not kept:
                break
            time.sleep(0.5)
        assert "mesh.glb" in seen and "image.png" not in seen
        example = visitor.predict(0, api_name="/load_example")["value"]
        assert Path(example["path"]).parent == EXAMPLES  # which nobody sweeps
        assert visitor.predict(example, "skin", api_name="/portray")["traces"]
        assert not kept
    finally:
        page.close()


def test_two_visitors_do_not_mix(whole, tmp_path, monkeypatch):
    from gradio_client import Client, handle_file

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = build_page(whole)
    _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, **SERVING)
    try:
        told = {}
        for seconds in (2.0, 4.0):
            path = tmp_path / f"{seconds}.wav"
            soundfile.write(path, babble(seconds), 16_000)
            visitor = Client(url, verbose=False, download_files=str(tmp_path / "client"))
            visitor.predict(handle_file(str(path)), "skin", api_name="/portray")
            told[seconds] = visitor
        for seconds, visitor in told.items():  # after both have spoken
            caption = visitor.predict("skin", api_name="/evidence")[0]
            heard = float(re.search(r"these ([\d.]+) s of speech", caption)[1])
            assert seconds - 1.5 < heard <= seconds
    finally:
        page.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> pipeline.Pipeline:
    return pipeline.load(write_whole_bundle(tmp_path_factory.mktemp("everything") / "b"), "cpu")


def test_sections_follow_the_bundle(whole, everything):
    names = [{fn.api_name for fn in build_page(one).fns.values()} for one in (whole, everything)]
    more = {"matches", "imagine", "photograph", "voices"}
    assert not more & names[0] and more <= names[1]
    assert "compare" in names[0] & names[1]


def test_two_voices_and_one_voice_are_told_apart(everything, spoken, tmp_path):
    kinds = {}
    for kind in (comparison.TWO, comparison.ONE):
        head, views, _, facts, table, report = comparison.compare(
            everything, kind, [spoken, spoken], tmp_path
        )
        assert views["value"] in head["views"] and views["visible"]
        assert json.loads(Path(report["value"]).read_text())
        kinds[kind] = facts + table
    assert "Faces apart" in kinds["two"] and "mm apart" in kinds["two"]
    assert "Recordings apart" in kinds["one"] and "Cheekbone breadth" in kinds["one"]
    with pytest.raises(gr.Error, match="Two recordings are needed"):
        comparison.compare(everything, comparison.TWO, [spoken, None], tmp_path)


def test_matches_are_cards_with_their_baseline(everything, spoken):
    portrait = everything(portraying.heard(spoken))
    shown = matches.of_voice(everything, portrait, spoken, "sss", matches.EVERYBODY)
    assert shown.count("<figure") == 8 and shown.count("data:image/webp") == 8
    assert "How unusual" in shown and "knowing the sex and nothing else" in shown
    assert "speaker is in the gallery" not in shown
    example = str(EXAMPLES / "woman-22.flac")
    assert matches.identity_of(example) == SPEAKER and matches.identity_of(spoken) is None
    told = matches.of_voice(everything, portrait, example, "sss", matches.EVERYBODY)
    assert "speaker is in the gallery" in told and "line class='true'" in told


def test_photograph_shows_its_head_and_voices(everything, spoken, tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(data.astronaut()).save(path)
    seen, pictures, head, views, _, table = photograph.read(everything, str(path), None)
    assert pictures.count("<img") == 2 and views["value"] == "skin"
    assert "Pupil distance" in table and set(head["views"]) == {"skin", "grey"}
    portrait = everything(portraying.heard(spoken))
    head, views = photograph.read(everything, str(path), portrait)[2:4]
    assert set(head["views"]) == {"voice", "photograph", "difference"}
    voices = matches.of_face(everything, seen, "cmpc", matches.SAME)
    assert voices.count("<audio") == 6 and "data:audio/ogg" in voices
    Image.fromarray(data.coffee()).save(path)
    with pytest.raises(gr.Error, match="No face was found on the photograph") as caught:
        photograph.look(everything, str(path))
    assert str(tmp_path) not in caught.value.message
    with pytest.raises(gr.Error, match="Choose or take a photograph"):
        photograph.look(everything, None)


def test_images_stream_and_end_with_what_they_grew_from(everything, spoken):
    portrait = everything(portraying.heard(spoken))
    wish = Wish(search=SearchOptions(steps=3))
    steps = list(image.imagine(everything, portrait, wish))
    assert "step 0 of 3" in steps[0][0] and "done" in steps[-1][0]
    assert steps[-1][0].count("<img") == 2 and steps[-1][1].count("<img") == 8
    assert "by image" in branches.branches(portrait)
    assert "running" in steps[0][0] and "running" not in steps[-1][0]


def test_images_that_are_not_wanted_any_more_stop_and_say_so(everything, spoken):
    portrait = everything(portraying.heard(spoken))
    wish, left = Wish(search=SearchOptions(steps=9)), iter([True, False])
    steps = list(image.imagine(everything, portrait, wish, lambda: next(left)))
    assert len(steps) == 2 and "Refinement: step 3 of 9, stopped" in steps[-1][0]
    assert "running" not in steps[-1][0]


def test_another_voice_ends_the_images_of_the_one_before(everything, spoken):
    page = build_page(everything)
    fns = {fn.api_name: fn.fn for fn in page.fns.values()}
    stop = next(b for b in page.blocks.values() if getattr(b, "elem_id", None) == "stop")
    visitor, other = (gr.Request(session_hash=name) for name in ("a", "b"))
    portrait = everything(portraying.heard(spoken))
    growing, others = (fns["imagine"](portrait, 1, 0, 1.0, who) for who in (visitor, other))
    assert "running" in next(growing)[0] and "running" in next(others)[0]
    fns["portray"](spoken, "skin", None, visitor)
    assert ", stopped" in next(growing)[0] and next(growing, None) is None
    assert "running" in next(others)[0]
    halt = next(fn for fn in page.fns.values() if (stop._id, "click") in fn.targets)
    halt.fn(other)
    assert ", stopped" in next(others)[0]


def test_published_features_are_read_without_sound(everything, tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32))
    portrait, head = portraying.of_features(everything, str(path), "grey")
    _, facts, *_, sound = portraying.evidence(portrait, "grey")
    assert head["view"] == "grey" and not sound
    assert portrait.recording.name == "features.npy" and "without sound" in facts
    find = next(f for f in build_page(everything).fns.values() if f.api_name == "matches").fn
    assert find(portrait, None, "sss", matches.EVERYBODY) == matches.waiting("faces")
    path.write_bytes(b"nothing")
    with pytest.raises(gr.Error):
        portraying.of_features(everything, str(path), "skin")


def test_measured_skill_stands_beside_its_baselines(everything):
    from dataclasses import replace

    def systems(u: float, g: float) -> dict:
        return {"voice to face": {"1:2 U": [u, 0, 0], "1:2 G": [g, 0, 0]}}

    bundle = everything.bundle
    assert matches.measured(bundle, "sss", "faces") == ""
    told = {"joined": systems(77.9, 57.7), "sex oracle": systems(74.1, 49.4)}
    part = replace(bundle.part("sss-voice-encoder"), results={"people": 1500, "systems": told})
    bundle = replace(bundle, parts={**bundle.parts, "sss-voice-encoder": part})
    words = matches.measured(bundle, "sss", "faces")
    assert "<b>78 %</b> (chance 50, sex alone 74)" in words
    assert "<b>58 %</b> (chance 50, sex alone 49)" in words
    assert matches.measured(bundle, "sss", "voices") == ""

"""Commands: overrides, which files are taken, what a bad file does."""

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
import soundfile
import torch
from bundles import babble, egg, write_bundle

import voicemesh
from voicemesh import cli
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.cli.portraying import targets
from voicemesh.cli.recipes import overridden
from voicemesh.mesh import procedural
from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.training.voicestyle_start import StartRecipe


@dataclass(frozen=True)
class Recipe:
    """One field of each kind."""

    steps: int = 5
    rate: float = 0.5
    front_end: str = "cmp"
    clean: bool = False
    widths: tuple[int, ...] = (1, 2)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle"))


def test_overrides_are_read_as_their_types():
    pairs = ["steps=7", "rate=1e-3", "front_end=voicemesh", "clean=true", "widths=3,4,5"]
    assert overridden(Recipe(), pairs) == Recipe(7, 1e-3, "voicemesh", True, (3, 4, 5))
    assert overridden(Recipe(), ["widths=(8,)"]).widths == (8,)
    assert overridden(Recipe(), []) == Recipe()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("step=7", "Recipe has no 'step'; it has steps, rate, front_end, clean, widths"),
        ("steps=many", "steps is of type int; 'many' is not"),
        ("clean=yes", "write true or false"),
        ("steps", "not of the form name=value"),
    ],
)
def test_wrong_overrides_say_what_is_right(pair, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        overridden(Recipe(), [pair])


def test_every_command_is_there():
    from voicemesh.cli import learning, measuring

    for system in learning.SYSTEMS:
        trainer = learning.trainer(system)
        assert callable(trainer.start) and "bundle" in trainer.RECIPES
        assert callable(learning.publisher(system).publish)
    for place, name in measuring.SPACES.values():
        assert callable(getattr(importlib.import_module(place), name).from_bundle)


def test_what_publishing_fits_itself_may_be_changed():
    from voicemesh.cli import learning

    asked = "publish {} run --data people --out mine steps=2 samples=40"
    arguments = cli.parsed(asked.format("stylegan2").split())
    beside = learning.fitted_beside(learning.publisher("stylegan2"), arguments)["beside"]
    assert (beside.encoder().steps, beside.encoder().samples) == (2, 40)
    assert beside.start() == StartRecipe() and beside.encoder().portraits > 40
    plain = asked.format("cmp").split()[:-2]
    with pytest.raises(ValueError, match="publishing cmp fits nothing that could be changed"):
        learning.fitted_beside(learning.publisher("cmp"), cli.parsed(asked.format("cmp").split()))
    assert not learning.fitted_beside(learning.publisher("cmp"), cli.parsed(plain))


def test_every_command_says_what_it_misses(bundle, tmp_path, capsys):
    nothing, out = str(tmp_path / "nothing"), str(tmp_path / "out")
    nets = ["--bundle", str(bundle)]
    systems = ("cmp", "sf2f", "voicestyle", "sss", "cmpc", "cmpc2")
    commands = [["evaluate", system, "--data", nothing, *nets] for system in systems]
    commands += [
        ["index", nothing, "--out", out, *nets],
        ["gallery", nothing, "--out", out, *nets],
        ["invert", nothing, *nets],
        ["picture", nothing, *nets],
        ["train", "cmp", "--data", nothing, "--out", out, *nets],
        ["publish", "cmp", nothing, "--data", nothing, "--out", out, *nets],
        ["convert", "sss", nothing, "--out", out],
        ["portray", nothing, "--out", out, *nets],
    ]
    for words in commands:
        assert cli.main(words) == 2, words
        told = capsys.readouterr().err
        assert told.startswith(f"voicemesh {words[0]}: ") and len(told) < 300, told
        assert "Traceback" not in told and not (tmp_path / "nothing").exists()


def test_overrides_may_stand_anywhere(capsys):
    words = ["train", "cmp", "steps=3", "--data", "d", "--out", "r", "seed=1", "--minutes", "2"]
    arguments = cli.parsed(words)
    assert sorted(arguments.overrides) == ["seed=1", "steps=3"] and arguments.minutes == 2
    for wrong in (["--stepz=3"], ["steps"], ["-x"]):
        with pytest.raises(SystemExit):
            cli.parsed([*words, *wrong])
    with pytest.raises(SystemExit):
        cli.parsed(["evaluate", "cmp", "--data", "d", "seed=1"])
    assert "unrecognized arguments: seed=1" in capsys.readouterr().err


def test_targets_of_folders_keep_their_tree(tmp_path):
    for name in ("a/one.wav", "a/deep/one.wav", "b/one.FLAC", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    out = tmp_path / "out"
    found = targets([tmp_path / "a", tmp_path / "b"], out)
    assert {
        str(file.relative_to(tmp_path)): str(to.relative_to(out)) for file, to in found.items()
    } == {
        "a/deep/one.wav": "deep/one",
        "a/one.wav": "one",
        "b/one.FLAC": "one-2",
    }
    assert targets([tmp_path / "a/one.wav"], out) == {tmp_path / "a/one.wav": out}
    with pytest.raises(ValueError, match="there is no"):
        targets([tmp_path / "c"], out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no recordings"):
        targets([tmp_path / "empty"], out)


def test_portray_goes_on_after_a_bad_file(bundle, tmp_path, capsys):
    voices = tmp_path / "voices"
    voices.mkdir()
    soundfile.write(voices / "good.wav", babble(2.0), 16_000)
    (voices / "bad.wav").write_text("no sound at all")
    out = tmp_path / "faces"
    arguments = ["portray", str(voices), "--out", str(out), "--bundle", str(bundle)]
    assert cli.main([*arguments, "--device", "cpu"]) == 1
    assert json.loads((out / "good" / "report.json").read_text())["recording"] == "good.wav"
    assert not (out / "bad").exists()
    told = capsys.readouterr()
    assert "bad.wav" in told.err and "1 of 2 recordings could not be used" in told.err
    assert "good.wav" in told.out


def test_portray_one_file_into_the_folder_itself(bundle, tmp_path):
    path = tmp_path / "voice.flac"
    soundfile.write(path, babble(2.0), 16_000)
    arguments = ["portray", str(path), "--out", str(tmp_path / "face"), "--bundle", str(bundle)]
    assert cli.main(arguments) == 0
    assert (tmp_path / "face" / "mesh.glb").exists()


def test_portraits_of_an_earlier_run_are_no_photographs(tmp_path):
    for name in ("a.wav", "a/preview.png", "a/report.json", "b/face.png", "a/c.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = targets([tmp_path], tmp_path)
    told = {path.relative_to(tmp_path).as_posix() for path in found}
    assert told == {"a.wav", "b/face.png", "a/c.png"}


def test_mistakes_exit_with_two_and_no_traceback(tmp_path, capsys):
    assert cli.main(["portray", str(tmp_path / "nothing.wav"), "--out", str(tmp_path)]) == 2
    assert cli.main(["populate", str(tmp_path / "p"), "people=3"]) == 2
    told = capsys.readouterr().err
    assert "there is no" in told
    assert "PopulationRecipe has no 'people'; it has identities" in told
    assert "Traceback" not in told


def test_files_and_devices_that_cannot_be_used_are_told(bundle, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    assert cli.main(["populate", str(tmp_path / "taken")]) == 2
    told = capsys.readouterr().err
    assert told == f"voicemesh populate: {tmp_path / 'taken'}: File exists\n"
    soundfile.write(tmp_path / "voice.flac", babble(2.0), 16_000)
    words = ["portray", str(tmp_path / "voice.flac"), "--bundle", str(bundle)]
    assert cli.main([*words, "--out", str(tmp_path / "taken" / "deeper")]) == 2
    assert "Not a directory" in capsys.readouterr().err
    assert cli.main([*words, "--out", str(tmp_path), "--device", "gpu"]) == 2
    assert "The device 'gpu' cannot be used" in capsys.readouterr().err
    words = ["evaluate", "sss", "--data", "people", "--out", str(tmp_path / "no" / "x.json")]
    assert cli.main(words) == 2
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err


def test_figures_need_a_place_before_they_are_measured(tmp_path, capsys):
    for out, fault in ((tmp_path, "is a folder; name the file"), (tmp_path / "a/b", "no folder")):
        told = ["evaluate", "cmp", "--data", str(tmp_path / "nobody"), "--out", str(out)]
        assert cli.main(told) == 2
        assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "sss", "--data", "d", "--meshes", "m"], "--meshes is for cmp, not for sss"),
        (["evaluate", "cmp", "--data", "d", "--critic", "r"], "--critic is for voicestyle"),
        (["convert", "sss", ".", "--out", "b", "--triangles", "t"], "face model; sss has none"),
    ],
)
def test_options_of_another_system_are_refused(words, told, capsys):
    assert cli.main(words) == 2
    assert told in capsys.readouterr().err


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    from voicemesh.population import dataset

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "populate", interrupted)
    assert cli.main(["populate", "nowhere"]) == 130
    assert capsys.readouterr().err == "voicemesh populate: interrupted\n"


def test_nothing_is_begun_when_there_is_nothing_to_publish(tmp_path, capsys):
    words = ["publish", "cmp", "--out", str(tmp_path / "out"), str(tmp_path / "run")]
    assert cli.main([*words, "--data", str(tmp_path)]) == 2
    assert "holds no population" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_grow_begins_a_bundle_and_overwrites_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(procedural, "grow", egg)  # the head takes minutes
    out = tmp_path / "mine"
    assert cli.main(["grow", str(out), "--title", "My people"]) == 0
    assert f"{len(egg().mean)} vertices" in capsys.readouterr().out
    begun = Bundle.open(out)
    assert begun.title == "My people" and begun.part("head").source.startswith("grown by voicemesh")
    torch.testing.assert_close(begun.face_model().mean, egg().mean, atol=0.01, rtol=0)
    before = (out / "bundle.json").read_bytes()
    assert cli.main(["grow", str(out)]) == 2
    assert "is a bundle, whose parts rest on its head" in capsys.readouterr().err
    assert (out / "bundle.json").read_bytes() == before


def test_populate_builds_what_was_asked(tmp_path, capsys):
    pairs = ["identities=2", "validation=1", "sessions=1", "channels=1", "seconds=1.5", "workers=1"]
    assert cli.main(["populate", str(tmp_path / "people"), *pairs]) == 0
    assert "2 people to train on, 1 not" in capsys.readouterr().out


def test_commands_explain_themselves_without_loading_anything():
    script = (
        "import sys; from voicemesh import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'gradio' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("portray", "grow", "populate", "train", "publish", "evaluate", "convert"):
        assert command in done.stdout


def test_version_and_help_of_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"voicemesh {voicemesh.__version__}\n"
    for action in cli.parser()._subparsers._group_actions[0].choices.values():
        for argument in action._actions:
            positional = argument.choices and not argument.option_strings  # names say it all
            assert argument.help or positional, f"{action.prog}: {argument.dest}"


def test_convert_turns_a_published_file_into_parts(tmp_path, capsys):
    net = VoiceFacePair((1, 1), (4, 6)).eval()
    file, out = tmp_path / "checkpoint_CMPC.pth.tar", tmp_path / "bundle"
    torch.save({"epoch": 3, "model": net.state_dict()}, file)
    assert cli.main(["convert", "cmpc", str(file), "--out", str(out), "--licence", "MIT"]) == 0
    assert "cmpc-face-encoder, cmpc-voice-encoder" in capsys.readouterr().out
    opened = Bundle.open(out)
    assert opened.part("cmpc-face-encoder").licence == "MIT"
    image = torch.randn(1, 3, 20, 20)
    torch.testing.assert_close(opened.net("cmpc-face-encoder")(image), net.face_subnet(image))
    assert cli.main(["convert", "cmpc-model", str(file), "--out", str(out)]) == 0
    log_mel = torch.randn(1, 16, 30)
    expected = net(log_mel, image)
    torch.testing.assert_close(Bundle.open(out).net("cmpc-model")(log_mel, image), expected)
    assert cli.main(["convert", "cmp", str(tmp_path / "no"), "--out", str(out)]) == 2
    assert f"there is no {tmp_path / 'no'}" in capsys.readouterr().err
    assert cli.main(["convert", "sss", str(tmp_path), "--out", str(out)]) == 2
    assert "is a folder; name the published file in it" in capsys.readouterr().err
    assert cli.main(["convert", "cmcp", str(file), "--out", str(out)]) == 2
    assert "No published network 'cmcp'; known are" in capsys.readouterr().err


def test_portray_reads_photographs_and_several_recordings(tmp_path, capsys):
    from PIL import Image
    from skimage import data
    from whole_bundles import write_whole_bundle

    whole, out = str(write_whole_bundle(tmp_path / "whole")), tmp_path / "out"
    folder = tmp_path / "given"
    folder.mkdir()
    for seed in range(2):
        soundfile.write(folder / f"{seed}.wav", babble(2.0, 120 + 20 * seed, seed), 16_000)
    Image.fromarray(data.astronaut()).save(folder / "face.png")
    Image.fromarray(data.coffee()).save(folder / "tea.jpg")
    assert cli.main(["portray", str(folder), "--out", str(out), "--bundle", whole]) == 1
    told = capsys.readouterr().err
    assert "No face was found on tea.jpg" in told and "1 of 4" in told
    report = json.loads((out / "face" / "report.json").read_text())
    assert report["photograph"] == "face.png" and report["faces"] == 1
    assert {path.name for path in (out / "face").iterdir()} >= {"mesh.obj", "overlay.png"}
    assert len(json.loads((out / "0" / "report.json").read_text())["matches"]) == 2

    both = [str(folder / f"{seed}.wav") for seed in range(2)]
    arguments = ["portray", *both, "--together", "--out", str(tmp_path / "one")]
    assert cli.main([*arguments, "--bundle", whole]) == 0
    agreement = json.loads((tmp_path / "one" / "report.json").read_text())["agreement"]
    assert agreement["recordings"] == ["0.wav", "1.wav"] and agreement["between_mm"] > 0
    assert "mm apart" in capsys.readouterr().out


def test_portray_needs_a_net_for_photographs(bundle, tmp_path, capsys):
    (tmp_path / "face.png").write_bytes(b"")
    arguments = ["portray", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--bundle", str(bundle)]) == 2
    assert "no part 'cmp-teacher'" in capsys.readouterr().err


def test_publishing_into_a_bundle_keeps_its_title(tmp_path, monkeypatch, capsys):
    from evaluation.toys import toy_population

    from voicemesh.training import cmp_features

    write_bundle(tmp_path / "out")
    (tmp_path / "people").mkdir()
    toy_population(tmp_path / "people", identities=2, validation=1)
    monkeypatch.setattr(cmp_features, "publish", lambda *given: "its figures")
    words = ["publish", "cmp-features", "run", "--data", "people", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2 and "there is no run in run" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    assert cli.main(words) == 0 and "its figures" in capsys.readouterr().out
    assert Bundle.open(tmp_path / "out").title == "Untrained nets"
    assert cli.main([*words, "--title", "Others"]) == 0
    assert Bundle.open(tmp_path / "out").title == "Others"

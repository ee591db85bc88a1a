"""What a folder or a table says of the files to index."""

import pytest

from voicemesh.indexing.sources import Source, of_folder, of_table


def test_subfolders_are_people(folder):
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "ann" / ".cache").mkdir()
    (folder / "ann" / ".cache" / "1.png").write_bytes(b"")
    found = of_folder(folder)
    assert [(s.file, s.identity, s.is_voice) for s in found] == [
        ("ann/1.png", "ann", False),
        ("ann/2.jpg", "ann", False),
        ("ann/voice.wav", "ann", True),
        ("ben/face.webp", "ben", False),
        ("ben/voice.flac", "ben", True),
        ("carl.png", "carl", False),
    ]


def test_folders_with_nothing_in_them(tmp_path):
    with pytest.raises(ValueError, match="There are no pictures and no recordings in"):
        of_folder(tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder .*nowhere"):
        of_folder(tmp_path / "nowhere")


def test_a_table_tells_more(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text(
        "identity,file,sex,age,label,height\nann,a/1.png,F,31.5,Ann B.,170\nben,b.wav,male,,,\n",
        encoding="utf-8-sig",  # as spreadsheets write it
    )
    assert of_table(table) == [
        Source("a/1.png", "ann", "Ann B.", "female", 31.5),
        Source("b.wav", "ben", "ben", "male"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("file,who\na.png,ann\n", "has no column identity; its first line names file, who"),
        ("", "has no column file, identity"),
        ("file,identity\n,ann\n", "line 2: a file and an identity are needed"),
        ("file,identity\n../a.png,ann\n", "line 2: '../a.png' is no path under the folder"),
        ("file,identity\n/a.png,ann\n", "is no path under the folder"),
        ("file,identity\na.pkl,ann\n", "'a.pkl' is no picture and no recording by its suffix"),
        ("file,identity,sex\na.png,ann,x\n", "the sex is 'x'; write female, male or nothing"),
        ("file,identity,age\na.png,ann,old\n", "the age is 'old', no number"),
        ("file,identity,age\na.png,ann,inf\n", "the age is 'inf'; leave it empty"),
        ("file,identity\na.png,ann\na.png,ben\n", "names 'a.png' twice"),
        ("file,identity\na.png,\udcff\n", "people.csv is no table in UTF-8"),
        ("file,identity\na.png," + 200_000 * "n" + "\n", "people.csv is no table.*field larger"),
    ],
)
def test_tables_that_are_wrong(tmp_path, text, fault):
    table = tmp_path / "people.csv"
    table.write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match=fault):
        of_table(table)

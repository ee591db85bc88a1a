"""Files are there whole or as they were, whatever happens while they are written."""

import pytest

from voicemesh.whole_files import aside, write_json, write_whole


def test_what_is_written_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "a.b"
    for content, found in (("ä", "ä".encode()), (b"\x00\xff", b"\x00\xff")):
        write_whole(path, content)
        assert path.read_bytes() == found
    write_json(path, {"a": [1]})
    assert path.read_text() == '{\n "a": [\n  1\n ]\n}\n'
    assert [each.name for each in tmp_path.iterdir()] == ["a.b"]


def test_an_error_leaves_the_old_and_nothing_else(tmp_path):
    path = tmp_path / "a.b"
    write_whole(path, "old")
    with pytest.raises(RuntimeError), aside(path) as unfinished:
        unfinished.write_text("half of the n")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.b"]


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), aside(tmp_path / "a"):
        pass

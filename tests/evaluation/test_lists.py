"""The published list formats, on small lists of invented people."""

import pytest

from voicemesh.evaluation import lists
from voicemesh.evaluation.lists import Identity

PEOPLE = (
    Identity("id10001", "Ada_A", "f", "UK"),
    Identity("id10002", "Bob_B", "m", "USA"),
)


def written(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_matching_lines_are_numbered(tmp_path):
    path = written(
        tmp_path,
        "id10001/v/00001.wav Ada_A/00000001.jpg Bob_B/00000002.jpg\n"
        "id10002/w/00003.wav Bob_B/00000002.jpg Ada_A/00000001.jpg\n\n"
        "id10001/v/00001.wav Ada_A/00000009.jpg Bob_B/00000002.jpg\n",
    )
    queries = lists.matching(path)
    assert queries.probes == ("id10001/v/00001.wav", "id10002/w/00003.wav")
    assert queries.candidates[2] == "Ada_A/00000009.jpg"
    assert queries.rows.tolist() == [[0, 0, 1], [1, 1, 0], [0, 2, 1]]
    assert queries.labels is None


def test_verification_is_true_where_the_people_are_one(tmp_path):
    path = written(
        tmp_path,
        "Ada_A/00000295.jpg id10001/VIDEO/00007.wav\nAda_A/00000295.jpg id10002/VIDEO/00001.wav\n",
    )
    queries = lists.verification_pairs(path, PEOPLE)
    assert queries.rows.tolist() == [[0, 0], [0, 1]]
    assert queries.labels.tolist() == [True, False]
    with pytest.raises(ValueError, match="names 'id10002', who is not among the identities"):
        lists.verification_pairs(path, PEOPLE[:1])


def test_learnable_pins_names_become_paths(tmp_path):
    path = written(
        tmp_path,
        "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"
        "0,1,1,1,Ada_A/abcdefghijk_0000012.wav,Ada_A/lmnopqrstuv/0004575.jpg\n"
        "1,1,2,0,Ada_A/abcdefghijk_0000002.wav,Bob_B/lmnopqrstuv/0000025.jpg\n",
    )
    queries = lists.verification_table(path, PEOPLE)
    assert queries.probes == (
        "id10001/abcdefghijk/00012.wav",
        "id10001/abcdefghijk/00002.wav",
    )
    assert queries.candidates[0] == "Ada_A/1.6/lmnopqrstuv/0004575.jpg"
    assert queries.labels.tolist() == [True, False]
    with pytest.raises(ValueError, match="'Ada_A', who is not"):
        lists.verification_table(path, PEOPLE[1:])


def test_retrieval_has_two_lines_or_a_column(tmp_path):
    assert lists.retrieval(written(tmp_path, "a.wav b.wav\nc.jpg\n")) == (
        ("a.wav", "b.wav"),
        ("c.jpg",),
    )
    with pytest.raises(ValueError, match="has 1 lines; a retrieval list has two"):
        lists.retrieval(written(tmp_path, "a.wav b.wav\n"))
    table = "VoxCeleb1 ID\tjpg\nid10001\tAda_A/1.6/v/1.jpg\n"
    assert lists.retrieval_items(written(tmp_path, table)) == ("Ada_A/1.6/v/1.jpg",)
    with pytest.raises(ValueError, match="needs a column wav or jpg"):
        lists.retrieval_items(written(tmp_path, "a\tb\n1\t2\n"))


def test_identity_tables_of_both_papers(tmp_path):
    comma = (
        "VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set\n"
        "id10001,Ada_A,f,UK,dev\nid10003,Cy_C,m,UK,none\nid10002,Bob_B,m,USA,test\n"
    )
    assert lists.identity_table(written(tmp_path, comma)) == PEOPLE
    tabs = comma.replace("_ID", " ID").replace(",", "\t")
    assert lists.identity_table(written(tmp_path, tabs)) == PEOPLE
    with pytest.raises(ValueError, match="has no column 'Gender'"):
        lists.identity_table(written(tmp_path, "VoxCeleb1_ID,VGGFace1_ID\na,b\n"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("a b c\na b\n", r"lines of \[2, 3\] fields"),
        ("a b\n", r"lines of \[2\] fields; all need the same number, 3 or more"),
    ],
)
def test_broken_lists_are_refused(tmp_path, text, fault):
    with pytest.raises(ValueError, match=fault):
        lists.matching(written(tmp_path, text))


def test_missing_lists_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"There is no list .*gone\.txt"):
        lists.matching(tmp_path / "gone.txt")

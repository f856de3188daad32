import os

import pytest

from cnnvis.core.errors import UserError
from cnnvis.inputs.labels import read_labels, read_synset


def test_wordnet_ids_and_blanks_are_left_out(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("n02123045 tabby, tabby cat\nn1 dog\n  Mönd \n\n", encoding="utf-8")
    assert read_labels(path, 3) == ["tabby, tabby cat", "n1 dog", "Mönd"]


def test_wordnet_ids(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("n02123045 tabby, tabby cat\nn1 dog\ncat\n", encoding="utf-8")
    assert [read_synset(path, cls) for cls in range(4)] == ["n02123045", None, None, None]


def test_without_a_file_classes_have_numbers():
    assert read_labels(None, 2) == ["class 0", "class 1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n", "labels.txt: 2 labels, but the score blob has 3 classes"),
        (None, "labels.txt: cannot be read as labels"),
        (b"\xe9\n\xff\n", "labels.txt: cannot be read as labels"),
    ],
)
def test_mistakes_are_one_line(tmp_path, content, message):
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_labels(path, 3)
    assert "\n" not in str(error.value)


def test_what_would_turn_a_page_around_is_left_out(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffcat\r\n\u202edog\x1b[31m\nb\tc\n", encoding="utf-8", newline="")
    assert read_labels(path, 3) == ["cat", "dog [31m", "b c"]


def test_a_fifo_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "labels.txt")
    with pytest.raises(UserError, match="labels.txt: cannot be read as labels .*no regular file"):
        read_labels(tmp_path / "labels.txt", 2)

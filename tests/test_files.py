"""JSON files of the user's: what they hold, or one line that says what is wrong and where."""

import pytest

from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json


def test_what_a_file_holds(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"Größe": [1, 2.5, null]}', encoding="utf-8")
    assert read_json(path) == {"Größe": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b": }', r"a\.json:2: expected JSON, got expecting value at column 7\. Mend"),
        (b"", r"a\.json:1: expected JSON, got expecting value at column 1\."),
        (b"[" * 100_000, r"a\.json: expected a JSON file, got maximum recursion depth"),
        (b'"\xff"', r"a\.json: expected a JSON file, got bytes that are no text in UTF-8"),
        (None, r"a\.json: expected a JSON file, got No such file or directory\. Check the path\."),
    ],
)
def test_what_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_messages_say_what_the_file_should_hold(tmp_path):
    with pytest.raises(DataError, match=r"expected a JSON file of body points, got Is a dir.* Try"):
        read_json(tmp_path, holds="body points", advice="Try another.")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json:1: expected JSON of body points, got"):
        read_json(tmp_path / "a.json", holds="body points")

import pytest

from mfl_adapt.config.yaml_file import display, parse_value, read_layer
from mfl_adapt.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content):
        path = tmp_path / "a.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_key_and_item_has_its_line(write):
    layer = read_layer(write("# title\nseed: 1\ntrain:\n  lr: 1.0\nplugins:\n- a\n- b\n"), "file")
    places = {keys: origin.place for keys, origin in layer.origins.items()}
    assert places == {
        ("seed",): "a.yaml:2",
        ("train",): "a.yaml:3",
        ("train", "lr"): "a.yaml:4",
        ("plugins",): "a.yaml:5",
        ("plugins", 0): "a.yaml:6",
        ("plugins", 1): "a.yaml:7",
    }


def test_values_are_plain_and_yaml_1_2(write):
    text = "a: yes\nb: true\nc: 1.0e-3\nd: 1e-3\ne: 010\nf: 0x1F\ng: ~\nh: 'x'\ni: 1_000\n"
    data = read_layer(write(text), "file").data
    assert data["a"] == "yes"
    assert data["b"] is True
    assert (data["c"], data["d"], data["f"]) == (0.001, 0.001, 31)
    assert data["g"] is None
    kinds = {str, bool, int, float, type(None)}
    assert {type(value) for value in data.values()} <= kinds


def test_byte_order_mark_and_merge_keys(write):
    data = read_layer(write("\ufeffa: &x {k: 1}\nb:\n  <<: *x\n  l: 2\n"), "file").data
    assert data["b"] == {"k": 1, "l": 2}


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ("", r"^a.yaml: expected keys and values, got an empty file"),
        ("# only a comment\n", "an empty file"),
        ("- 1\n", r"^a.yaml: expected keys and values at the top, got a list"),
        ("hello\n", "at the top, got 'hello'"),
        ("a: 1\nb: 2\na: 3\n", r"^a.yaml:3: expected each key once, got 'a' twice"),
        ("t:\n  a: 1\n  a: 3\n", r"^a.yaml:3: .*'a' twice"),
        ("t:\n\ta: 1\n", r"^a.yaml:2: expected spaces for indentation, got a tab"),
        ("t:\n  a: 1\n \tb: 2\n", r"^a.yaml:\d: .*got a tab"),
        ("t: [1\nb: 2\n", r"^a.yaml:\d: expected valid YAML"),
        ("a: 'x\n", r"^a.yaml:\d: expected valid YAML"),
        ("a: 1\n---\nb: 2\n", r"^a.yaml:2: expected valid YAML.*another document"),
        ("a: *b\n", r"expected valid YAML.*undefined alias"),
        ("1: 2\n", r"^a.yaml:1: expected a key that is text, got 1. Quote it"),
        ("a: 2024-01-01\n", r"^a.yaml:1: .*got date '2024-01-01'. Quote"),
        ("a: !!python/object:os.system x\n", r"^a.yaml:1: "),
        ("a: &x\n  b: *x\n", r"^a.yaml:\d: .*contains itself"),
        (b"\xff\xfea\x00", r"^a.yaml: expected UTF-8 text, got byte 0xff at position 0"),
        (b"a: \x00\n", r"^a.yaml: expected YAML text"),
    ],
)
def test_bad_file_gives_one_line_with_its_place(write, content, pattern):
    path = write(content)
    with pytest.raises(ConfigError, match=pattern) as caught:
        read_layer(path, "file")
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: expected a configuration file, got none"):
        read_layer(tmp_path / "none.yaml", "file")
    with pytest.raises(ConfigError, match=r"expected a readable file, got Is a directory"):
        read_layer(tmp_path, "file")


def test_files_elsewhere_are_shown_whole(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert display(tmp_path / "a.yaml") == str(tmp_path / "a.yaml")
    assert display(tmp_path / "here" / "b" / "a.yaml") == "b/a.yaml"


def test_typed_value_is_yaml():
    assert parse_value("[{use: a.b, k: 1}]", "--set x") == [{"use": "a.b", "k": 1}]
    assert parse_value("", "--set x") is None
    with pytest.raises(ConfigError, match=r"^--set x: expected valid YAML"):
        parse_value("[1", "--set x")

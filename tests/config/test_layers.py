from mfl_adapt.config.layers import Layer, Origin, layer_of, merge

LOW, HIGH = Origin("preset", "low.yaml:1"), Origin("file", "high.yaml:1")


def low(*pairs):
    return layer_of((keys, value, LOW) for keys, value in pairs)


def high(*pairs):
    return layer_of((keys, value, HIGH) for keys, value in pairs)


def test_mappings_are_overlaid_key_by_key():
    merged = merge([low((("train", "lr"), 1.0), (("seed",), 3)), high((("train", "steps"), 5))])
    assert merged.data == {"train": {"lr": 1.0, "steps": 5}, "seed": 3}
    assert merged.origin(("train", "lr")) == LOW
    assert merged.origin(("train", "steps")) == HIGH
    assert merged.origin(("train", "warmup")).kind == "default"


def test_lists_are_replaced_whole():
    assert merge([low((("plugins",), ["a", "b"])), high((("plugins",), ["c"]))]).data == {
        "plugins": ["c"]
    }


def test_null_resets_a_key_and_a_section():
    layers = [low((("train", "lr"), 1.0), (("seed",), 3)), high((("train",), None))]
    merged = merge(layers)
    assert merged.data == {"seed": 3}
    assert merged.origin(("train", "lr")) == Origin("file", "high.yaml:1", resets=True)


def test_a_reset_is_remembered_under_further_layers():
    layers = [low((("data", "size"), 3)), high((("data", "size"), None)), low((("seed",), 1))]
    assert merge(layers).origin(("data", "size")).kind == "file"
    again = merge([*layers, low((("data", "size"), 5))])
    assert again.origin(("data", "size")) == LOW


def test_another_component_drops_the_settings_of_the_former():
    below = low((("adapter",), {"use": "a.b", "r": 16}), (("base",), {"id": "x.y", "file": "f"}))
    merged = merge([below, high((("adapter", "use"), "c.d"), (("adapter", "k"), 1))])
    assert merged.data == {"adapter": {"use": "c.d", "k": 1}, "base": {"id": "x.y", "file": "f"}}
    assert merged.notes == ("adapter: c.d replaces a.b, whose settings are dropped: r",)
    assert merge([below, high((("base", "id"), "z.y"))]).data["base"] == {"id": "z.y"}


def test_the_same_component_keeps_its_settings():
    merged = merge([low((("adapter",), {"use": "a.b", "r": 16})), high((("adapter",), "a.b"))])
    assert merged.data == {"adapter": {"use": "a.b", "r": 16}}
    assert merged.notes == ()


def test_a_plain_string_is_short_for_a_component():
    made = high((("data",), {"reader": "a", "preprocess": ["b", {"use": "c"}]}), (("base",), "d"))
    assert made.data == {
        "data": {"reader": {"use": "a"}, "preprocess": [{"use": "b"}, {"use": "c"}]},
        "base": {"id": "d"},
    }


def test_merging_edits_no_layer():
    first, second = low((("train", "lr"), 1.0)), high((("train", "lr"), 2.0))
    merge([first, second])
    assert (first.data, second.data) == ({"train": {"lr": 1.0}}, {"train": {"lr": 2.0}})


def test_nearest_section_is_located():
    made = Layer({"train": {}}, {("train",): LOW})
    assert made.locate(("train", "lr")) == LOW
    assert made.locate(("seed",)) is None

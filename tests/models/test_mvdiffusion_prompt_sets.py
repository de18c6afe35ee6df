"""Prompt sets: wording, judgement by a numpy oracle, and files that keep what they hold."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mfl_adapt.errors import CheckpointError, ConfigError, RangeError, ShapeError, StorageError
from mfl_adapt.models.mvdiffusion.config import VIEW_NAMES
from mfl_adapt.models.mvdiffusion.folder import load_text_tower, read_text_width
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.prompt_sets import (
    PromptSet,
    judge_prompt_set,
    load_prompt_set,
    make_prompt_set,
    save_prompt_set,
    write_prompts,
)
from mfl_adapt.models.mvdiffusion.saving import save_parts

VIEWS = ("front", "back", "top")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small multi-view model; not to be changed."""
    folder = tmp_path_factory.mktemp("model") / "pipeckpts"
    save_parts(build_fresh(), folder)
    return folder


@pytest.fixture
def made():
    embeds = torch.randn(3, 77, 8, generator=torch.Generator().manual_seed(1))
    return PromptSet(embeds, VIEWS, ("a", "b", "c"), "f" * 64)


def test_published_words():
    prompts = write_prompts()
    assert len(prompts) == 6
    assert prompts[1] == "a rendering image of 3D models, front_right view, color map."


def test_words_of_a_species_and_of_a_template():
    assert write_prompts(["top"], species="naked mole-rat") == [
        "a rendering image of 3D naked mole-rat models, top view, color map."
    ]
    template = "{species} from {view}, {0} {}"
    assert write_prompts([" a "], species="{view}s", template=template) == ["as from a, {0} {}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"views": []}, "views: expected different names, got 'none'"),
        ({"views": ["a", "a "]}, "views: expected different names"),
        ({"species": ""}, "species: expected a name"),
        ({"template": "a"}, "expected {view} in it, got 'a'"),
        ({"template": "{view}", "species": "rat"}, "expected {species} in it"),
        ({"template": "{view} {species}"}, "expected {species} only with a species"),
    ],
)
def test_words_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError) as caught:
        write_prompts(**arguments)
    assert message in str(caught.value)


def test_encoding_is_that_of_the_whole_model(model):
    tower = load_text_tower(model)
    made = make_prompt_set(tower, VIEW_NAMES, write_prompts())
    parts = build_fresh()
    ids = parts.tokenizer(
        write_prompts(), padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        expected = parts.text_encoder.eval()(ids).last_hidden_state
    assert torch.equal(made.embeds, expected)
    assert made.views == VIEW_NAMES
    assert read_text_width(model) == 32


def test_tower_of_another_model(model, tmp_path):
    (tmp_path / "unet").mkdir()
    config = (model / "unet/config.json").read_text()
    for name in ("text_encoder", "tokenizer"):
        (tmp_path / name).symlink_to(model / name)
    narrow = config.replace('"cross_attention_dim": 32', '"cross_attention_dim": 9')
    (tmp_path / "unet/config.json").write_text(narrow)
    with pytest.raises(
        CheckpointError, match="cross_attention_dim 32 to fit the text tower, got 9"
    ):
        load_text_tower(tmp_path)
    (tmp_path / "unet/config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cross_attention_dim with a whole number, got None"):
        read_text_width(tmp_path)
    (tmp_path / "unet/config.json").write_text(config)
    (tmp_path / "tokenizer").unlink()
    with pytest.raises(CheckpointError, match="expected a sub-folder 'tokenizer'"):
        load_text_tower(tmp_path)


def test_judgement_against_numpy(made):
    found = judge_prompt_set(made, 8, where="it")
    rows = made.embeds.numpy().astype(float).reshape(3, -1)
    cosines = {
        (i, j): rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
        for i in range(3)
        for j in range(i + 1, 3)
    }
    assert found.alike == max(cosines, key=cosines.get)
    assert found.greatest_cosine == pytest.approx(max(cosines.values()), abs=1e-12)
    assert found.least_std == pytest.approx(rows.std(axis=1, ddof=1).min(), rel=1e-12)
    assert found.shape == (3, 77, 8)


def mixed(cosine):
    """Two rows, each one number per dimension, with that cosine."""
    rows = torch.zeros(2, 77, 8, dtype=torch.float64)
    rows[0, 0, 0] = 1
    rows[1, 0, 0], rows[1, 0, 1] = cosine, (1 - cosine**2) ** 0.5
    return PromptSet(rows)


def test_limit_of_likeness():
    assert judge_prompt_set(mixed(0.9989), 8, where="it").greatest_cosine < 0.999
    with pytest.raises(RangeError, match=r"it: .*cosine under 0\.999.* got 0\.99910 between row 0"):
        judge_prompt_set(mixed(0.9991), 8, where="it")


def test_a_single_view_has_nothing_to_differ_from(made):
    found = judge_prompt_set(PromptSet(made.embeds[:1]), 8, where="it")
    assert (found.alike, found.greatest_cosine) == ((0, 0), -1.0)


def test_file_that_names_another_number_of_views(made):
    with pytest.raises(ShapeError, match="one row for each of front, back, top, got 2"):
        judge_prompt_set(PromptSet(made.embeds[:2], VIEWS), 8, where="it")


def test_safetensors_keep_everything(made, tmp_path):
    path = tmp_path / "new" / "a.safetensors"
    save_prompt_set(made, path, dtype=torch.float32)
    found = load_prompt_set(path, 8)
    assert torch.equal(found.embeds, made.embeds)
    assert (found.views, found.prompts, found.tower) == (made.views, made.prompts, made.tower)
    again = tmp_path / "b.safetensors"
    save_prompt_set(found, again, dtype=torch.float32)
    assert path.read_bytes() == again.read_bytes()


def test_pt_is_one_tensor_in_half_precision(made, tmp_path):
    path = tmp_path / "a.pt"
    save_prompt_set(made, path)
    assert torch.equal(torch.load(path, weights_only=True), made.embeds.half())
    found = load_prompt_set(path, 8)
    assert (found.views, found.prompts, found.tower) == ((), (), "")


def test_files_that_cannot_be_written(made, tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"mine")
    with pytest.raises(StorageError, match="expected a new file"):
        save_prompt_set(made, path)
    assert path.read_bytes() == b"mine"
    with pytest.raises(ConfigError, match=r"ends in \.safetensors or \.pt, got 'a\.npy'"):
        save_prompt_set(made, tmp_path / "a.npy")
    large = PromptSet(made.embeds * 1e6)
    with pytest.raises(RangeError, match=r"expected embeddings that torch\.float16 can hold"):
        save_prompt_set(large, tmp_path / "large.pt")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.pt"]


def test_files_with_other_content(made, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": made.embeds, "b": made.embeds.clone()}, path)
    with pytest.raises(CheckpointError, match=r"expected one tensor \[views, 77, 8\], got 2 tens"):
        load_prompt_set(path, 8)
    torch.save({"a": made.embeds}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="got dict"):
        load_prompt_set(tmp_path / "a.pt", 8)


@pytest.mark.parametrize("notes", ["[", "[]", '{"views": 3}'])
def test_damaged_notes_are_left_aside(made, tmp_path, caplog, notes):
    path = tmp_path / "a.safetensors"
    save_file({"prompt_embeds": made.embeds}, path, metadata={"prompt_set": notes})
    assert load_prompt_set(path, 8).views == ()
    assert "its notes on views and prompts are damaged" in caplog.text

"""Reading training examples: background, resizing, and files that cannot be used."""

import numpy as np
import pytest
import torch
from PIL import Image

from mfl_adapt.errors import CheckpointError, ConfigError, DataError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.items import choose_background, read_item
from mfl_adapt.models.mvdiffusion.prompts import read_prompt_embeds, view_prompts


def write_views(folder, views=2, size=8, alpha=255):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (views, size, size, 4), dtype=np.uint8)
    pictures[..., 3] = alpha
    for view, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"cam_{view:03d}.png")
    return pictures


def test_views_in_order_and_the_first_as_input(tmp_path):
    pictures = write_views(tmp_path)
    item = read_item(tmp_path, size=8, num_views=2)
    expected = torch.from_numpy(pictures[..., :3].astype(np.float32) / 255).permute(0, 3, 1, 2)
    assert torch.equal(item.imgs_out, expected)
    assert torch.equal(item.imgs_in, expected[0])


@pytest.mark.parametrize(
    ("background", "value"), [("white", 1.0), ("gray", 0.5), ("black", 0.0), (0.25, 0.25)]
)
def test_background_shows_through(tmp_path, background, value):
    pictures = write_views(tmp_path, alpha=51)  # a fifth
    item = read_item(tmp_path, size=8, num_views=2, background=background)
    colours = pictures[..., :3].astype(np.float64) / 255
    expected = torch.from_numpy(colours * 0.2 + 0.8 * value).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(item.imgs_out, expected, atol=1e-6, rtol=0)


def test_a_picture_without_alpha_is_all_subject(tmp_path):
    Image.fromarray(np.full((8, 8, 3), 102, np.uint8)).save(tmp_path / "cam_000.png")
    item = read_item(tmp_path, size=8, num_views=1, background="black")
    torch.testing.assert_close(item.imgs_in, torch.full((3, 8, 8), 0.4))


def test_colour_behind_the_mask_does_not_bleed_in(tmp_path):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :8] = 255  # white and opaque beside black and transparent
    Image.fromarray(pixels).save(tmp_path / "cam_000.png")
    item = read_item(tmp_path, size=8, num_views=1)
    torch.testing.assert_close(item.imgs_in, torch.ones(3, 8, 8))


def test_drawn_backgrounds():
    generator = torch.Generator().manual_seed(0)
    greys = {float(choose_background("three_choices", generator)[0]) for _ in range(40)}
    assert greys == {0.0, 0.5, 1.0}
    colour = choose_background("random", generator)
    assert len(set(colour.tolist())) == 3


@pytest.mark.parametrize(
    ("background", "error", "match"),
    [
        ("pink", ConfigError, "background: expected .*got 'pink'"),
        ("random", ConfigError, "a generator to draw 'random'"),
        (1.5, RangeError, "background: .*got 1.5"),
    ],
)
def test_backgrounds_that_cannot_work(background, error, match):
    with pytest.raises(error, match=match):
        choose_background(background)


def test_missing_damaged_and_empty_pictures(tmp_path):
    write_views(tmp_path)
    with pytest.raises(DataError, match=r"cam_002.png: expected a PNG or JPEG file"):
        read_item(tmp_path, size=8, num_views=3)
    path = tmp_path / "cam_001.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cam_001.png"):
        read_item(tmp_path, size=8, num_views=2)
    write_views(tmp_path, alpha=0)
    with pytest.raises(DataError, match=r"cam_000.png: .*transparent everywhere"):
        read_item(tmp_path, size=8, num_views=2)


def test_prompts_name_the_views():
    assert view_prompts()[1] == ("a rendering image of 3D models, front_right view, color map.")
    assert view_prompts(["top"]) == ["a rendering image of 3D models, top view, color map."]


def test_prompt_files(tmp_path):
    path = tmp_path / "embeds.pt"
    embeds = torch.randn(4, 77, 32, generator=torch.Generator().manual_seed(0)).half()
    torch.save(embeds, path)
    assert torch.equal(read_prompt_embeds(path, 32), embeds)
    torch.save({"embeds": embeds}, path)
    with pytest.raises(CheckpointError, match=r"embeds.pt: expected one tensor .*got dict"):
        read_prompt_embeds(path, 32)
    torch.save(embeds[:, :7], path)
    with pytest.raises(ShapeError, match="expected 77 tokens"):
        read_prompt_embeds(path, 32)
    torch.save(embeds * float("nan"), path)
    with pytest.raises(RangeError, match="finite"):
        read_prompt_embeds(path, 32)
    with pytest.raises(CheckpointError, match=r"none.pt: expected a checkpoint file"):
        read_prompt_embeds(tmp_path / "none.pt", 32)

"""``prompts make`` and ``prompts check``."""

import json

import pytest
import torch
from bad_input import call, refuse
from helpers import shared_path
from safetensors.torch import load_file

from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.saving import save_parts

NAMES = ["front", "front_right", "right", "back", "left", "front_left"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small multi-view model; not to be changed."""
    folder = tmp_path_factory.mktemp("model") / "pipeckpts"
    save_parts(build_fresh(), folder)
    return folder


@pytest.fixture
def base(model, empty_folder, monkeypatch):
    """Options that name the model."""
    monkeypatch.setenv("MFL_HOME", str(empty_folder / "home"))
    return ["--base", str(model)]


def test_make_and_check(base, empty_folder):
    result = call("prompts", "make", "--species", "mouse", *base, "-o", "mouse.safetensors")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1] == (
        "front_right   a rendering image of 3D mouse models, front_right view, color map."
    )
    assert lines[-1] == "wrote mouse.safetensors: [6, 77, 32] float16"
    facts = json.loads(call("prompts", "check", "mouse.safetensors", *base, "--json").stdout)
    assert (facts["shape"], facts["views"]) == ([6, 77, 32], NAMES)
    assert facts["prompts"][3] == "a rendering image of 3D mouse models, back view, color map."
    assert facts["greatest_cosine"] < 0.999
    assert [one.name for one in empty_folder.iterdir()] == ["mouse.safetensors"]


def test_views_of_a_rig_in_the_form_of_the_original_program(base, empty_folder):
    options = ["--views", "front, top", "--template", "a {view} photo", "--dtype", "float32"]
    assert call("prompts", "make", *options, *base, "-o", "two.pt").exit_code == 0
    embeds = torch.load("two.pt", weights_only=True)
    assert (embeds.shape, embeds.dtype) == ((2, 77, 32), torch.float32)
    lines = call("prompts", "check", "two.pt", *base).stdout.splitlines()
    assert lines[:2] == ["shape      [2, 77, 32] float32", "views      the file does not say"]
    assert "rows 0 and 1 (limit 0.999)" in lines[3]


def test_order_that_differs_from_the_published_one_is_said(base, empty_folder, caplog):
    order = ",".join(reversed(NAMES))
    assert call("prompts", "make", "--views", order, *base, "-o", "a.pt").exit_code == 0
    assert "the published model makes them in the order front,front_right,right," in caplog.text


def test_make_refuses_in_one_line(base, empty_folder):
    (empty_folder / "there.pt").write_bytes(b"mine")
    for options, message in {
        ("-o", "there.pt"): "there.pt: expected a new file, got one that exists",
        ("-o", "a.txt"): "a.txt: expected a file that ends in .safetensors or .pt",
        ("-o", "a.pt", "--views", "front,front"): "views: expected different names",
        ("-o", "a.pt", "--views", "front,,back"): "views: expected different names",
        ("-o", "a.pt", "--species", " "): "species: expected a name",
        ("-o", "a.pt", "--template", "a mouse"): "template: expected {view} in it",
        ("-o", "a.pt", "--template", "{species} {view}"): "{species} only with a species",
        ("-o", "a.pt", "--template", "x " * 90 + "{view}"): "got 1.00000 between row 0 (front)",
    }.items():
        assert message in refuse("prompts", "make", *options, *base)
    assert [one.name for one in empty_folder.iterdir()] == ["there.pt"]
    assert (empty_folder / "there.pt").read_bytes() == b"mine"


def test_base_that_is_not_there(base):
    message = refuse("prompts", "make", "-o", "a.pt")
    assert message.startswith("facelift.mvdiffusion: expected fetched weights at ")
    assert "gone: expected the folder of a multi-view diffusion model" in refuse(
        "prompts", "make", "-o", "a.pt", "--base", "gone"
    )


def test_check_refuses_in_one_line(base, empty_folder):
    embeds = torch.randn(6, 77, 32, generator=torch.Generator().manual_seed(0))
    broken = embeds.clone()
    broken[2, 0, 0] = torch.nan
    alike = embeds.clone()
    alike[4] = alike[1] * 2
    constant = embeds.clone()
    constant[5] = 0.5
    for tensor, message in {
        embeds[..., :16]: "expected width 32, got [6, 77, 16]. Another text encoder made them",
        embeds[:, :7]: "expected 77 tokens, got [6, 7, 32]",
        embeds[0]: "expected [views, tokens, 32] floating-point, got [77, 32]",
        broken: "expected finite numbers, got 1 that are not",
        constant: "expected rows that vary, got standard deviation 0 in row 5",
        torch.zeros(6, 77, 32): "expected rows that vary, got standard deviation 0 in row 0",
        alike: "got 1.00000 between row 1 and row 4",
    }.items():
        torch.save(tensor, "a.pt")
        assert message in refuse("prompts", "check", "a.pt", *base)
    assert "found nothing there" in refuse("prompts", "check", "gone.pt", *base)


def test_the_shipped_base_is_known_by_its_name(empty_folder):
    result = call(
        "prompts", "make", "--base", "facelift.tiny_views", "--species", "mouse", "-o", "m.pt"
    )
    assert result.exit_code == 0, result.stderr
    facts = json.loads(
        call("prompts", "check", "m.pt", "--base", "facelift.tiny_views", "--json").stdout
    )
    assert facts["shape"] == [6, 77, 64]


@pytest.mark.golden
def test_the_published_file_is_accepted(empty_folder):
    file = shared_path("data/facelift_prompt_embeds_6view.pt")
    facts = json.loads(call("prompts", "check", str(file), "--json").stdout)
    assert facts["shape"] == [6, 77, 1024]
    # numpy: the greatest cosine of two flattened rows
    rows = torch.load(file, weights_only=True).double().flatten(1).numpy()
    unit = rows / (rows**2).sum(1, keepdims=True) ** 0.5
    cosines = unit @ unit.T
    greatest = max(cosines[i, j] for i in range(6) for j in range(i))
    assert facts["greatest_cosine"] == pytest.approx(greatest, abs=1e-9)


@pytest.mark.golden
def test_the_file_of_another_text_encoder_is_refused(empty_folder):
    file = shared_path("data/mouse_prompt_embeds_768_wrong_encoder.pt")
    message = refuse("prompts", "check", str(file))
    assert "expected width 1024, got [6, 77, 768]. Another text encoder made them" in message


@pytest.mark.golden
def test_the_original_programs_embeddings_are_made_again(empty_folder):
    folder = str(shared_path("reference/mvpipe_tiny"))
    result = call("prompts", "make", "--base", folder, "--dtype", "float32", "-o", "a.safetensors")
    assert result.exit_code == 0, result.stderr
    made = load_file("a.safetensors")["prompt_embeds"]
    golden = load_file(shared_path("reference/mvpipe_tiny_golden.safetensors"))["prompt.embeds"]
    torch.testing.assert_close(made, golden, atol=1e-5, rtol=0)

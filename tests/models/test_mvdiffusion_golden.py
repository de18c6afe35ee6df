"""The model against numbers that the real one wrote: network, sampling, training, examples."""

import json

import pytest
import torch
from helpers import shared_path
from mfl_adapt_facelift_loss.min_snr import latent_errors, min_snr_weights
from PIL import Image
from safetensors.torch import load_file

from mfl_adapt.errors import ShapeError
from mfl_adapt.models.mvdiffusion.config import translate_config
from mfl_adapt.models.mvdiffusion.frozen import load_mvdiffusion
from mfl_adapt.models.mvdiffusion.items import read_item
from mfl_adapt.models.mvdiffusion.prompts import read_prompt_embeds, tokenize, view_prompts
from mfl_adapt.models.mvdiffusion.sampling import Draws
from mfl_adapt.models.mvdiffusion.training import StepDraws, draw_step, training_step
from mfl_adapt.models.mvdiffusion.unet import MVUNet

pytestmark = pytest.mark.golden

RUNS = {
    "A": {"steps": 3, "guidance": 3.0, "eta": 1.0, "seed": 4},
    "B": {"steps": 3, "guidance": 1.0, "eta": 0.0, "seed": 11},
    "C": {"steps": 2, "guidance": 3.0, "eta": 1.0, "seed": 12},
    "D": {"steps": 3, "guidance": 3.0, "eta": 1.0, "seed": 4},
    "E": {"steps": 2, "guidance": 2.0, "eta": 1.0, "seed": 11, "noise_level": 300},
}
STEPS = {
    "snr5_drop": {"drop_rate": 0.25, "seed": 42},
    "mse_nodrop": {"drop_rate": 0.0001, "seed": 43},
}


def close(value, expected, atol):
    torch.testing.assert_close(value, expected, atol=atol, rtol=0)


def close_to_largest(value, expected, rtol=1e-4):
    """Gradients are compared with the largest entry, as small ones are sums that cancel."""
    assert float((value - expected).abs().max()) <= rtol * float(expected.abs().max())


@pytest.fixture(scope="module")
def network():
    return load_file(shared_path("reference/mvunet_tiny.safetensors"))


@pytest.fixture(scope="module")
def sampled():
    return load_file(shared_path("reference/mvpipe_tiny_golden.safetensors"))


@pytest.fixture(scope="module")
def trained():
    return load_file(shared_path("reference/mvtrain_tiny_golden.safetensors"))


@pytest.fixture(scope="module")
def base():
    return load_mvdiffusion(shared_path("reference/mvpipe_tiny"), id="facelift.mvdiffusion")


def build_unet(network, **changes):
    source = json.loads(shared_path("reference/mvunet_tiny_config.json").read_text())
    unet = MVUNet(translate_config({**source, **changes})).eval()
    weights = {k[5:]: v for k, v in network.items() if k.startswith("unet.")}
    unet.load_state_dict(weights, strict=True)
    return unet


def run_unet(unet, network, timestep="in.timestep", sample=None):
    return unet(
        network["in.sample"] if sample is None else sample,
        network[timestep],
        network["in.encoder_hidden_states"],
        class_labels=network["in.class_labels"],
    ).sample


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "out.sparse"),
        ({"sparse_mv_attention": False}, "out.dense"),
        ({"multiview_attention": False}, "out.selfonly"),
    ],
)
def test_network_in_each_pattern(network, changes, expected):
    with torch.no_grad():
        out = run_unet(build_unet(network, **changes), network)
    close(out, network[expected], 5e-5)


def test_network_with_one_timestep_per_object(network):
    with torch.no_grad():
        out = run_unet(build_unet(network), network, "in.timestep_vec")
    close(out, network["out.sparse_vec_t"], 5e-5)


def test_network_step_by_step(network):
    unet = build_unet(network)
    block = unet.down_blocks[0].attentions[0].transformer_blocks[0]
    layers = {
        "conv_in": unet.conv_in,
        "time_emb": unet.time_embedding,
        "class_emb": unet.class_embedding,
        "d0a0.attn1_in": block.norm1,
        "d0a0.attn1_out": block.attn1,
        "d0a0.block_out": block,
        "down0_out": unet.down_blocks[0],
        "midblock_out": unet.mid_block,
    }
    seen = {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        run_unet(unet, network)
    seen["down0_out"] = seen["down0_out"][0]
    for name, value in seen.items():
        close(value, network[f"mid.{name}"], 5e-5)
    assert seen.keys() == layers.keys()


def test_network_gradients(network):
    unet = build_unet(network)
    sample = network["in.sample"].clone().requires_grad_()
    loss = (run_unet(unet, network, "in.timestep_vec", sample) * network["grad.probe"]).mean()
    loss.backward()
    close(loss.detach(), network["grad.loss"], 1e-6)
    close_to_largest(sample.grad, network["grad.in.sample"])
    named = dict(unet.named_parameters())
    checked = [key for key in network if key.startswith("grad.unet.")]
    for key in checked:
        close_to_largest(named[key.removeprefix("grad.unet.")].grad, network[key])
    assert len(checked) > 20


def test_published_network_has_the_published_tensors():
    """The full-size network, without its weights, against the list of the published file."""
    table = shared_path("spec/mvdiffusion_unet_state_dict.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in table if line and not line.startswith("#")]
    expected = {row[0]: tuple(map(int, row[1].split("x"))) for row in rows[1:]}
    source = {
        **json.loads(shared_path("reference/mvunet_tiny_config.json").read_text()),
        "sample_size": 64,
        "down_block_types": ["CrossAttnDownBlockMV2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlockMV2D"] * 3,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "attention_head_dim": [5, 10, 20, 20],
        "cross_attention_dim": 1024,
        "projection_class_embeddings_input_dim": 2048,
        "norm_num_groups": 32,
    }
    with torch.device("meta"):
        unet = MVUNet(translate_config(source))
    assert {name: tuple(value.shape) for name, value in unet.state_dict().items()} == expected
    assert sum(value.numel() for value in unet.state_dict().values()) == 870_184_644


def pictures_of(run, sampled):
    if run == "C":
        return sampled["C.image_tensor"]
    return Image.open(shared_path("reference/mvpipe_tiny_input_0.png"))


def generate(base, sampled, run, draws=None, **more):
    rows = sampled["prompt.embeds"].repeat(2 if run == "C" else 1, 1, 1)
    if run == "B":
        draws = Draws(latents=sampled["A.noise_latents"])
    return base.generate(pictures_of(run, sampled), rows, draws=draws, **RUNS[run], **more)


@pytest.mark.parametrize("run", ["A", "B", "C", "E"])
def test_sampling_run(base, sampled, run):
    seen, inputs = [], []

    def watch(_, args, kwargs, out):
        inputs.append((args, kwargs, out.sample))

    handle = base.module.register_forward_hook(watch, with_kwargs=True)
    try:
        views = generate(base, sampled, run, progress=lambda *step: seen.append(step))
    finally:
        handle.remove()
    assert [time for _, time, _ in seen] == sampled[f"{run}.timesteps"].tolist()
    for index, _, latents in seen:
        close(latents, sampled[f"{run}.latents_after.{index}"], 1e-4)
    args, kwargs, _ = inputs[0]
    close(kwargs["class_labels"], sampled[f"{run}.class_labels"], 1e-5)
    close(args[0][:, 4:], sampled[f"{run}.image_latents"], 1e-5)
    for index, (_, _, out) in enumerate(inputs):
        if f"{run}.unet_out.{index}" in sampled:
            close(out, sampled[f"{run}.unet_out.{index}"], 1e-4)
    close(views.images, sampled[f"{run}.images"], 2e-5)
    close(views.latents, seen[-1][2], 0)


def test_sampling_with_dense_attention(base, sampled):
    base.module.layout.pattern = "dense"
    try:
        views = generate(base, sampled, "D")
    finally:
        base.module.layout.pattern = "reference"
    close(views.latents, sampled["D.latents_after.2"], 1e-4)
    close(views.images, sampled["D.images"], 2e-5)


def test_eight_bit_views(base, sampled):
    difference = generate(base, sampled, "A").to_bytes().int() - sampled["A.uint8"].int()
    # Values that lie on .5 may round to either side.
    assert int(difference.abs().max()) <= 1
    assert int((difference != 0).sum()) < 20


def test_given_noise_is_used_instead_of_drawn(base, sampled):
    draws = Draws(
        sampled["A.noise_image_embeds"],
        sampled["A.noise_latents"],
        tuple(sampled[f"A.step_noise.{i}"] for i in range(3)),
    )
    rows, picture = sampled["prompt.embeds"], pictures_of("A", sampled)
    settings = {**RUNS["A"], "seed": 99}
    views = base.generate(picture, rows, draws=draws, **settings)
    close(views.images, sampled["A.images"], 2e-5)


def test_views_in_portions(base, sampled):
    close(generate(base, sampled, "A", views_at_once=2).images, sampled["A.images"], 2e-5)


def test_prompts(base, sampled):
    ids = tokenize(view_prompts(), base.parts.tokenizer)
    assert torch.equal(ids, sampled["prompt.input_ids"])
    close(base.encode_prompts(view_prompts()), sampled["prompt.embeds"], 1e-6)


def drawn_by(trained, run):
    return StepDraws(
        embeds=trained[f"{run}.noise_image_embeds"],
        drop=trained[f"{run}.drop_p"],
        posterior=torch.zeros(24, 4, 8, 8),
        noise=trained[f"{run}.noise"],
        timesteps=trained[f"{run}.timesteps"][::6],
    )


@pytest.mark.parametrize("run", STEPS)
def test_training_draws(base, trained, run):
    encoded = base.encode(trained["in.imgs_in"], trained["in.imgs_out"])
    draws = draw_step(
        encoded,
        shared=torch.Generator().manual_seed(13),
        own=torch.Generator().manual_seed(STEPS[run]["seed"]),
    )
    expected = drawn_by(trained, run)
    for name in ("embeds", "drop", "noise", "timesteps"):
        assert torch.equal(getattr(draws, name), getattr(expected, name)), name


@pytest.mark.parametrize("run", STEPS)
def test_training_step(base, trained, run):
    encoded = base.encode(trained["in.imgs_in"], trained["in.imgs_out"])
    draws = draw_step(
        encoded,
        shared=torch.Generator().manual_seed(13),
        own=torch.Generator().manual_seed(STEPS[run]["seed"]),
    )
    prompts, rate = trained["in.prompt_embeds"], STEPS[run]["drop_rate"]
    base.module.requires_grad_(requires_grad=True)
    try:
        step = training_step(encoded, prompts, draws, base.parts, drop_rate=rate)
        errors = latent_errors(step.pred[None], step.target[None])[0]
        loss = (errors * min_snr_weights(step.snr) if run == "snr5_drop" else errors).mean()
        loss.backward()
        gradients = {k: v.grad for k, v in base.module.named_parameters()}
    finally:
        base.module.requires_grad_(requires_grad=False)
        base.module.zero_grad(set_to_none=True)
    assert torch.equal(step.timesteps, trained[f"{run}.timesteps"])
    for name in ("latents", "unet_input", "class_labels", "target"):
        close(getattr(step, name), trained[f"{run}.{name}"], 1e-5)
    torch.testing.assert_close(step.snr, trained[f"{run}.snr"], rtol=1e-5, atol=0)
    close(step.pred, trained[f"{run}.model_pred"], 5e-5)
    close(loss.detach(), trained[f"{run}.loss"], 1e-6)
    checked = [key for key in trained if key.startswith(f"{run}.grad.")]
    for key in checked:
        close_to_largest(gradients[key.removeprefix(f"{run}.grad.")], trained[key])
    assert len(checked) == 21


def test_all_four_ways_of_dropping_occur(trained):
    drop = trained["snr5_drop.drop_p"]
    assert sorted((drop / 0.25).int().tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("background", ["white", "gray", "black"])
def test_example(trained, background):
    folder = shared_path("reference/mvdata_tiny/sample_000")
    item = read_item(folder, size=64, background=background)
    repeated = item.imgs_in.expand(6, -1, -1, -1)
    assert torch.equal(repeated, trained[f"dataset.{background}.imgs_in"])
    assert torch.equal(item.imgs_out, trained[f"dataset.{background}.imgs_out"])


def test_published_prompt_embeddings():
    embeds = read_prompt_embeds(shared_path("data/facelift_prompt_embeds_6view.pt"), 1024)
    assert embeds.shape == (6, 77, 1024)


def test_prompt_embeddings_of_another_encoder_are_refused():
    path = shared_path("data/mouse_prompt_embeds_768_wrong_encoder.pt")
    with pytest.raises(ShapeError, match=r"expected width 1024, got .*768.*Another text encoder"):
        read_prompt_embeds(path, 1024)

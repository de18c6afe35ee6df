"""Every method on both bases: nothing when fresh, then learning, saving, turning off, merging."""

import copy
import json
import warnings

import peft
import pytest
import small_views
import torch
from mfl_adapt_lora_gslrm import lora as gslrm
from mfl_adapt_lora_gslrm.config import LoraConfig
from mfl_adapt_lora_mvdiffusion import lora as mvdiffusion
from mfl_adapt_lora_mvdiffusion.config import LoraConfig as ViewsConfig
from peft.utils import load_peft_weights
from pydantic import ValidationError

from mfl_adapt import adapter as adapters
from mfl_adapt.config import claim_slots, load_config, validate_components
from mfl_adapt.errors import AdapterError, ConfigError
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.plugin import PacedMethod
from mfl_adapt.plugin.methods import DEFAULTS
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.types import Cameras

METHODS = {
    "lora": {"method": "lora", "r": 4},
    "rslora": {"method": "lora", "r": 4, "use_rslora": True},
    "orthogonal": {"method": "lora", "r": 4, "init": "orthogonal"},
    "dora": {"method": "dora", "r": 4},
    "oft": {"method": "oft", "oft_block_size": 8},
    "neumann": {"method": "oft", "oft_block_size": 8, "use_cayley_neumann": True},
    "lokr": {"method": "lokr", "r": 2},
    "lycoris": {"method": "lokr", "r": 2, "init": "lycoris", "decompose_factor": 4},
    "ia3": {"method": "ia3"},
}
VARIANTS = {"rslora", "neumann", "lycoris"}
"""Of settings alone, so that one base is enough."""
ON_OR_OFF = {"dora", "oft", "neumann", "ia3"}
LINEAR_ONLY = {"orthogonal", "oft", "neumann"}


class Reconstruction:
    """A small GS-LRM."""

    def __init__(self):
        self.prototype = self.build()

    def base(self):
        return copy.deepcopy(self.prototype)

    def build(self):
        config = GSLRMConfig(image_size=16, patch_size=8, d=32, d_head=16, n_layer=2)
        model = GSLRM(config, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(5 if parameter.dim() == 2 else 1)
        return FrozenGSLRM(model, id="test.small", sha256="a" * 64)

    def method(self, name, *, whole=False, **changes):
        inputs = {"feedforward_modules": ["mlp.2"]} if name == "ia3" else {}
        return gslrm.Lora(LoraConfig(**METHODS[name] | inputs | changes))

    def output(self, base):
        rgb = torch.rand(1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        c2w = torch.eye(4).expand(1, 2, 4, 4).clone()
        c2w[..., 2, 3] = -2.7
        intrinsics = torch.tensor([17.2, 17.2, 8.0, 8.0]).expand(1, 2, 4)
        made = base.reconstruct(rgb, Cameras(c2w, intrinsics, height=16, width=16))
        fields = (made.means, made.quats, made.scales, made.opacities, made.sh)
        return torch.cat([field.flatten() for field in fields])


class Views:
    """A small multi-view diffusion model; three of its layers with an adapter are no attention."""

    def __init__(self):
        self.prototype = small_views.make_views_base(seed=3)

    def base(self):
        return copy.deepcopy(self.prototype)

    def method(self, name, *, whole=False, **changes):
        targets = ["attention"] if whole else ["mid_block.*.attn1.*", "mid_block.*.attn2.*"]
        targets += [] if name in LINEAR_ONLY else ["conditioning"]
        return mvdiffusion.Lora(ViewsConfig(**METHODS[name] | {"targets": targets} | changes))

    def output(self, base):
        with base.module.viewing(3):
            return base.module(**small_views.inputs()).sample


@pytest.fixture(scope="module")
def bases():
    return {"gslrm": Reconstruction(), "mvdiffusion": Views()}


@pytest.fixture(
    params=[("gslrm", name) for name in METHODS]
    + [("mvdiffusion", name) for name in METHODS if name not in VARIANTS],
    ids="-".join,
)
def case(request):
    return request.param


@pytest.fixture
def small(bases, case):
    return bases[case[0]]


@pytest.fixture
def name(case):
    return case[1]


def run(small, base):
    with torch.no_grad():
        return small.output(base)


def attach(small, name, base=None, **changes):
    return adapters.attach(base or small.base(), small.method(name, **changes), seed=0)


def shake(adapter, only=""):
    """Give every weight a value, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapter.named_parameters().items():
            if name.startswith(only):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def test_fresh_it_changes_nothing_and_off_it_is_the_base_bit_for_bit(small, name):
    base = small.base()
    bare, digest = run(small, base), adapters.base_digest(base.module)
    adapter = attach(small, name, base)
    if name == "orthogonal":  # its two factors cancel, up to rounding
        torch.testing.assert_close(run(small, base), bare, atol=2e-6, rtol=2e-6)
    else:
        assert torch.equal(run(small, base), bare)
    assert adapters.base_digest(base.module) == digest
    shake(adapter)
    adapted = run(small, base)
    assert (adapted - bare).abs().max() > 1e-3
    adapter.strength = 0.0
    assert torch.equal(run(small, base), bare)
    adapter.strength = 1.0
    assert torch.equal(run(small, base), adapted)


def test_every_layer_with_an_adapter_has_an_effect(small, name):
    base = small.base()
    chosen = set(small.method(name, whole=True).peft_config(base.module).target_modules)
    adapter = attach(small, name, base, whole=True)
    assert set(adapter.layers) == chosen
    fresh = {key: one.detach().clone() for key, one in adapter.named_parameters().items()}
    before = run(small, base)
    for layer in adapter.layers:
        shake(adapter, only=f"{layer}.")
        assert (run(small, base) - before).abs().max() > 1e-5, layer
        with torch.no_grad():
            for key, parameter in adapter.named_parameters().items():
                parameter.copy_(fresh[key])


def test_it_learns_and_the_base_stays(small, name):
    base, teacher = small.base(), small.base()
    shake(attach(small, name, teacher))
    digest, wanted = adapters.base_digest(base.module), run(small, teacher)
    adapter = attach(small, name, base)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-2, weight_decay=0)
    losses = []
    for _ in range(8):
        loss = (small.output(base) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    # Both factors of every product have begun to move; at first only one of them could.
    assert all(float(one.grad.abs().max()) > 0 for one in adapter.parameters())
    assert adapters.base_digest(base.module) == digest
    adapters.check_frozen(base.module, train_adapter=True)


def test_saved_and_loaded_it_is_the_same(small, name, tmp_path):
    base = small.base()
    adapter = attach(small, name, base)
    shake(adapter)
    adapters.save(adapter, tmp_path / "a", passport={})
    other = small.base()
    loaded = adapters.load(other, tmp_path / "a")
    assert adapters.digest_tensors(loaded.state_dict()) == adapters.digest_tensors(
        adapter.state_dict()
    )
    assert torch.equal(run(small, other), run(small, base))
    adapters.save(loaded, tmp_path / "b", passport=loaded.passport)
    for file in ("adapter_model.safetensors", "adapter_config.json", "passport.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_stock_peft_loads_the_folder(small, name, tmp_path):
    base = small.base()
    adapter = attach(small, name, base)
    shake(adapter)
    adapters.save(adapter, tmp_path / "a", passport={})
    other = small.base()
    config = peft.PeftConfig.from_pretrained(str(tmp_path / "a"))
    peft.inject_adapter_in_model(config, other.module)
    result = peft.set_peft_model_state_dict(
        other.module, _unprefixed(load_peft_weights(str(tmp_path / "a"), device="cpu"))
    )
    assert not result.unexpected_keys
    assert torch.equal(run(small, other), run(small, base))


def _unprefixed(tensors):
    return {key.removeprefix("base_model.model."): value for key, value in tensors.items()}


def test_merged_is_unmerged_and_unmerged_again_bit_for_bit(small, name):
    base = small.base()
    digest = adapters.base_digest(base.module)
    adapter = attach(small, name, base)
    shake(adapter)
    apart = run(small, base)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert adapters.check_merge(adapter, lambda: run(small, base)) <= 1e-5
    assert torch.equal(run(small, base), apart)
    assert adapters.base_digest(base.module) == digest


def test_in_between_strengths_are_for_methods_that_add(small, name):
    adapter = attach(small, name)
    if name in ON_OR_OFF:
        with pytest.raises(AdapterError, match=r"expected 0 or 1, as .* got 0.5. Use a LoRA"):
            adapter.strength = 0.5
    else:
        adapter.strength = 0.5


@pytest.mark.parametrize("kind", ["gslrm", "mvdiffusion"])
def test_oft_rotates_and_a_rotation_keeps_lengths(bases, kind):
    small = bases[kind]
    base = small.base()
    adapter = attach(small, "oft", base)
    shake(adapter)
    for layer in adapter.layers:
        rotation = base.module.get_submodule(layer).get_delta_weight("default").detach()
        torch.testing.assert_close(
            rotation @ rotation.T, torch.eye(len(rotation)), atol=1e-6, rtol=0
        )


# Settings.


@pytest.mark.parametrize("method", DEFAULTS)
@pytest.mark.parametrize("key", sorted({key for one in DEFAULTS.values() for key in one}))
def test_a_setting_of_another_method_is_an_error(method, key):
    value = next(one[key] for one in DEFAULTS.values() if key in one)
    if key in DEFAULTS[method]:
        value = DEFAULTS[method][key]
        assert getattr(LoraConfig(**{"method": method, key: value}), key) == value
    else:
        with pytest.raises(ValidationError, match=f"{key}\n.*as method {method} has no such"):
            LoraConfig(**{"method": method, key: value})
        assert getattr(LoraConfig(**{"method": method, key: None}), key) is None


@pytest.mark.parametrize("method", DEFAULTS)
def test_what_was_resolved_is_valid_again(method):
    settings = LoraConfig(method=method)
    assert LoraConfig(**settings.model_dump(mode="json")) == settings
    assert {key for key, value in settings if value is not None} == {
        "method",
        "targets",
        *DEFAULTS[method],
    }


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        ("pissa", "rewrites the weights of the base"),
        ("pissa_niter_16", "rewrites the weights of the base"),
        ("olora", "rewrites the weights of the base"),
        ("loftq", "rewrites the weights of the base"),
        ("corda", "rewrites the weights .* a pass over the data"),
        ("eva", "needs a pass over the data"),
        (False, "lets a fresh adapter change the output"),
        ("gausian", "Did you mean 'gaussian'"),
        ("lycoris", "expected default or gaussian or orthogonal, got 'lycoris'"),
    ],
)
def test_first_weights_that_do_not_fit_are_refused_with_the_reason(init, reason):
    with pytest.raises(ValidationError, match=reason):
        LoraConfig(init=init)


@pytest.mark.parametrize("changes", [{"r": 3}, {"r": 4, "rank_pattern": {"fc": 5}}])
def test_orthogonal_needs_even_ranks(changes):
    with pytest.raises(ValidationError, match=r"expected even ranks for 'orthogonal', got [35]"):
        LoraConfig(init="orthogonal", **changes)


@pytest.mark.parametrize("init", ["pissa", "olora", "pissa_niter_4"])
def test_a_method_of_anybodys_cannot_rewrite_the_base(init):
    class Sly:
        def peft_config(self, module):
            return peft.LoraConfig(r=2, target_modules=["fc"], init_lora_weights=init)

    base = Reconstruction().base()
    digest = adapters.base_digest(base.module)
    with pytest.raises(AdapterError, match=f"leave the base as it is, got init_lora_.* '{init}'"):
        adapters.attach(base, Sly(), seed=0)
    assert adapters.base_digest(base.module) == digest


def test_a_folder_cannot_rewrite_the_base_either(bases, tmp_path):
    small = bases["gslrm"]
    adapter = attach(small, "lora")
    shake(adapter)
    adapters.save(adapter, tmp_path / "a", passport={})
    file = tmp_path / "a" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"init_lora_weights": "pissa"}))
    base = small.base()
    digest = adapters.base_digest(base.module)
    with pytest.raises(AdapterError, match="leave the base as it is, got init_lora_weights"):
        adapters.load(base, tmp_path / "a")
    assert adapters.base_digest(base.module) == digest


def test_init_true_is_pefts_word_for_the_default():
    assert LoraConfig(init=True) == LoraConfig()


@pytest.mark.parametrize("method", ["lora", "dora", "lokr"])
def test_patterns_give_single_layers_their_rank(method):
    base = Reconstruction().base()
    settings = {
        "r": 4,
        "lora_alpha": 4,
        "rank_pattern": {"transformer_layers.1.*": 2},
        "alpha_pattern": {"attn.fc": 16},
    }
    config = LoraConfig(method=method, **settings)
    made = gslrm.Lora(config).peft_config(base.module)
    one = [f"transformer_layers.1.{end}" for end in ("attn.fc", "attn.to_qkv", "mlp.mlp.0")]
    assert made.rank_pattern == dict.fromkeys([*one, "transformer_layers.1.mlp.mlp.2"], 2)
    assert made.alpha_pattern == {f"transformer_layers.{i}.attn.fc": 16 for i in (0, 1)}
    adapter = adapters.attach(base, gslrm.Lora(config), seed=0)
    scaling = {
        layer: base.module.get_submodule(layer).scaling["default"] for layer in adapter.layers
    }
    assert scaling["transformer_layers.0.attn.fc"] == 16 / 4
    assert scaling["transformer_layers.1.attn.fc"] == 16 / 2
    assert scaling["transformer_layers.0.mlp.mlp.0"] == 4 / 4
    assert scaling["transformer_layers.1.mlp.mlp.0"] == 4 / 2


@pytest.mark.parametrize("setting", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_must_match_a_layer_that_was_chosen(setting):
    module = Reconstruction().base().module
    config = LoraConfig(targets="attention", **{setting: {"attn.to_qvk": 4}})
    with pytest.raises(AdapterError, match=f"{setting} that match a layer .*mean 'attn.to_qkv'"):
        gslrm.Lora(config).peft_config(module)
    config = LoraConfig(targets="attention", **{setting: {"mlp.mlp.0": 4}})
    with pytest.raises(AdapterError, match=r"a layer that the adapter takes, got 'mlp.mlp.0'"):
        gslrm.Lora(config).peft_config(module)


def test_two_patterns_must_not_disagree():
    module = Reconstruction().base().module
    config = LoraConfig(rank_pattern={"fc": 4, "transformer_layers.0.*": 8})
    with pytest.raises(AdapterError, match=r"got 4 \('fc'\) and 8 .* for transformer_layers.0.att"):
        gslrm.Lora(config).peft_config(module)


def test_ia3_scales_inputs_only_of_layers_that_were_chosen():
    module = Reconstruction().base().module
    config = LoraConfig(method="ia3", targets="attention", feedforward_modules=["mlp.2"])
    with pytest.raises(AdapterError, match="feedforward_modules that match a layer that the ada"):
        gslrm.Lora(config).peft_config(module)


def test_oft_refuses_what_peft_would_only_warn_about_or_get_wrong():
    config = LoraConfig(method="oft", oft_block_size=24)
    with pytest.raises(AdapterError, match=r"got 24 and 32 inputs of .*attn.fc. Use 16, or"):
        gslrm.Lora(config).peft_config(Reconstruction().base().module)
    config = ViewsConfig(method="oft", oft_block_size=8, targets=["conv_in"])
    with pytest.raises(AdapterError, match="method oft, got the convolution conv_in"):
        mvdiffusion.Lora(config).peft_config(Views().base().module)


def test_orthogonal_is_for_linear_layers():
    config = ViewsConfig(init="orthogonal", targets=["conv_in"])
    with pytest.raises(AdapterError, match="for init orthogonal, got the convolution conv_in"):
        mvdiffusion.Lora(config).peft_config(Views().base().module)


def test_paces_by_name():
    method = gslrm.Lora(LoraConfig(lora_plus_ratio=8))
    assert isinstance(method, PacedMethod)
    adapter = adapters.attach(Reconstruction().base(), method, seed=0)
    rates = {name: method.pace(name).rate for name in adapter.named_parameters()}
    assert len(rates) == 16
    assert all(rate == (8 if "lora_B" in name else 1) for name, rate in rates.items())
    assert all(method.pace(name).decay for name in rates)


@pytest.mark.parametrize("method", ["ia3", "dora"])
def test_factors_on_the_base_are_not_pulled_to_zero(method):
    paced = gslrm.Lora(LoraConfig(method=method))
    adapter = adapters.attach(Reconstruction().base(), paced, seed=0)
    kept = [name for name in adapter.named_parameters() if not paced.pace(name).decay]
    assert len(kept) == len(adapter.layers) == 8


# From the command line, without torch.


def claimed(*overrides, source="quickstart"):
    loaded = load_config(source, overrides=overrides)
    host = load_plugins(loaded.config.plugins)
    return claim_slots(loaded, host), host


@pytest.mark.parametrize("source", ["quickstart", "views-quickstart"])
@pytest.mark.parametrize("method", DEFAULTS)
def test_a_presets_rank_gives_way_to_another_method(source, method):
    loaded, host = claimed(f"adapter.method={method}", source=source)
    validate_components(loaded, host)
    settings = loaded.config.adapter.settings
    assert ("r" in settings) == ("r" in DEFAULTS[method])
    assert "targets" in settings


def test_what_the_user_wrote_never_gives_way():
    loaded, host = claimed("adapter.method=oft", "adapter.r=8")
    with pytest.raises(ConfigError, match=r"--set adapter.r=8: r: expected nothing, .* lokr"):
        validate_components(loaded, host)

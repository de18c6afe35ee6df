"""Rules about bases: frozen, the same every time, and as their contract says."""

from __future__ import annotations

import re
from functools import partial

from mfl_adapt.plugin.specs import BaseSpec, Probed, Reconstructor
from mfl_adapt.plugin.testing.bases import question
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked, not_applicable, require
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal
from mfl_adapt.plugin.testing.well_formed import tensors_digest


def check_contract(case: Case) -> None:
    """The contract agrees with itself, and the built base with its record."""
    assert isinstance(case.spec, BaseSpec)
    base = case.built()
    for contract in (case.spec.contract, base.contract):
        numbers = (contract.size, contract.patch, contract.depth_reach, contract.distance)
        require(
            min(numbers) > 0 and contract.size % contract.patch == 0,
            f"{case.name}: contract",
            expected="positive numbers, and a size that is a multiple of the patch",
            got=f"size {contract.size}, patch {contract.patch}, depth_reach "
            f"{contract.depth_reach}, distance {contract.distance}",
            remedy="Publish what the network was trained with.",
        )
    for field in ("sha256", "fingerprint"):
        value = getattr(base, field)
        require(
            isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
            f"{case.name}: {field}",
            expected="64 hexadecimal digits",
            got=repr(value),
            remedy="Hash the weights' file, and the architecture.",
        )
    require(
        base.id == case.name,
        f"{case.name}: id",
        expected=repr(case.name),
        got=repr(base.id),
        remedy="Passports name a base by plugin.component.",
    )


def check_frozen_base(case: Case) -> None:
    """No parameter takes gradients, and the network is in evaluation mode."""
    module = case.built().module
    trainable = [name for name, one in module.named_parameters() if one.requires_grad]
    require(
        not trainable and not module.training,
        f"{case.name}: module",
        expected="frozen parameters in evaluation mode",
        got=f"{len(trainable)} that take gradients" if trainable else "training mode",
        remedy="Call module.requires_grad_(False) and module.eval().",
    )


def check_probe(case: Case) -> None:
    """The probe gives the same finite numbers every time, also from a fresh base."""
    import torch

    base = case.built()
    if not isinstance(base, Probed):
        leave_unchecked("has no probe(), so the effect of adapters on it cannot be proved")
    first = case.call("probe", base.probe)
    require(
        torch.is_tensor(first)
        and first.dtype == torch.float32
        and first.device.type == "cpu"
        and bool(torch.isfinite(first).all()),
        f"{case.name}: probe",
        expected="finite float32 numbers on the CPU",
        got=f"{first.dtype} on {first.device}" if torch.is_tensor(first) else repr(first),
        remedy="Return output.detach().float().cpu().",
    )
    fresh = case.call("building it again", case.build)
    for name, other in (("a second probe", base), ("the probe of a fresh base", fresh)):
        again = case.call(name, other.probe)
        require(
            tensors_digest(again) == tensors_digest(first),
            f"{case.name}: {name}",
            expected="the same numbers",
            got="others",
            remedy="Use a fixed input, and a generator with a fixed seed.",
        )


def check_gaussians(case: Case) -> str:
    """A reconstructor makes Gaussians with activated values, the same every time."""
    import torch

    base = case.built()
    if not isinstance(base, Reconstructor):
        not_applicable("makes no Gaussians")
    with torch.no_grad():
        made, again = (
            case.call("reconstruct", partial(base.reconstruct, *question(base))) for _ in range(2)
        )
    count = made.means.shape[1]
    shapes = {"means": [3], "quats": [4], "scales": [3], "opacities": []}
    for name, rest in shapes.items():
        value = getattr(made, name)
        where = f"{case.name}: {name}"
        require(
            list(value.shape) == [1, count, *rest] and bool(torch.isfinite(value).all()),
            where,
            expected=f"{[1, count, *rest]} finite numbers",
            got=list(value.shape),
            remedy="Activate and filter before they are returned.",
        )
        require(
            torch.equal(value, getattr(again, name)),
            where,
            expected="the same numbers for the same pictures",
            got="others",
            remedy="Use deterministic operations in evaluation mode.",
        )
    lengths = made.quats.norm(dim=-1)
    ranges = {
        "unit quats": bool(((lengths - 1).abs() < 1e-3).all()),
        "scales above 0": bool((made.scales > 0).all()),
        "opacities in [0, 1]": bool(((made.opacities >= 0) & (made.opacities <= 1)).all()),
        "sh [1, N, K, 3]": made.sh.shape[:2] == made.means.shape[:2] and made.sh.shape[3:] == (3,),
    }
    wrong = [text for text, holds in ranges.items() if not holds]
    require(
        not wrong,
        f"{case.name}: reconstruct",
        expected=", ".join(ranges),
        got=f"not {' nor '.join(wrong)}",
        remedy="Return activated values.",
    )
    return f"{count} Gaussians"


def check_errors(case: Case) -> None:
    """Pictures that do not fit are refused in one line."""
    base = case.built()
    if not isinstance(base, Reconstructor):
        not_applicable("makes no Gaussians")
    rgb, cameras = question(base)
    wrong = {
        "channels last": rgb.permute(0, 1, 3, 4, 2),
        "pictures of more views than cameras": rgb[:, [0, 1, 1]],
        "pictures of another size": rgb[..., :-3],
    }
    for what, pictures in wrong.items():
        found = case.attempt(what, partial(base.reconstruct, pictures, cameras))
        if found.error is None:
            fail(
                f"{case.name}, {what}",
                expected="a ShapeError",
                got="Gaussians",
                remedy="Check the shapes first.",
            )
        check_refusal(case, what, found.error)


_BASES = (BaseSpec,)
RULES = (
    Rule(
        "B01-contract",
        _BASES,
        "Contract, hashes and id agree with the record",
        check_contract,
        ("C02-build",),
    ),
    Rule(
        "B02-frozen",
        _BASES,
        "No parameter takes gradients; evaluation mode",
        check_frozen_base,
        ("C02-build",),
    ),
    Rule(
        "B03-probe",
        _BASES,
        "Its probe gives the same finite numbers every time",
        check_probe,
        ("C02-build",),
    ),
    Rule(
        "B04-gaussians",
        _BASES,
        "A reconstructor makes activated Gaussians, the same every time",
        check_gaussians,
        ("C02-build",),
    ),
    Rule(
        "B05-errors",
        _BASES,
        "Pictures that do not fit are refused in one line",
        check_errors,
        ("B04-gaussians",),
    ),
)

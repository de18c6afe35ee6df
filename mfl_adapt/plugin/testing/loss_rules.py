"""Rules about losses: one finite number per view, with a gradient, and nothing else touched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mfl_adapt.plugin.specs import LocalLoss, LossSpec
from mfl_adapt.plugin.testing.loss_inputs import ARGUMENTS, Given
from mfl_adapt.plugin.testing.outcome import fail, not_applicable, require
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal
from mfl_adapt.plugin.testing.well_formed import tensors_digest

if TYPE_CHECKING:
    from torch import Tensor


# What a network makes; the rest is given to it.
_LEARNT = ("pred", "alpha", "positions")


def check_shape(case: Case) -> None:
    """One finite number per view, [B, V], whatever the mask keeps."""
    import torch

    loss = case.built()
    for batch, views in ((2, 3), (1, 1), (3, 2)):
        given = Given(case, batch, views)
        masks = {"a mask": given.mask, "a mask of ones": torch.ones_like(given.mask)}
        if not given.on_latents:
            masks["an empty mask"] = torch.zeros_like(given.mask)
        for name, mask in masks.items():
            value = given.run(case, loss, mask=mask)
            where = f"{case.name}, {name}, [{batch}, {views}] views"
            got = f"{list(value.shape)} {value.dtype}" if torch.is_tensor(value) else repr(value)
            require(
                torch.is_tensor(value) and list(value.shape) == [batch, views],
                where,
                expected=f"[{batch}, {views}], one value per view",
                got=got,
                remedy="Reduce over channels and pixels only; weights and means stay outside.",
            )
            require(
                value.is_floating_point() and bool(torch.isfinite(value).all()),
                where,
                expected="finite numbers",
                got=value.flatten().tolist(),
                remedy="Divide by no count that can be zero.",
            )


def check_gradients(case: Case) -> None:
    """Gradients are finite and reach what was rendered, at the optimum and under any mask."""
    import torch

    loss, given, reached = case.built(), Given(case), False
    places = {
        "random pictures": {},
        "pred equal to target": {"pred": given.target},
        "a mask of ones": {"mask": torch.ones_like(given.mask)},
        "white pictures": {
            "pred": torch.ones_like(given.pred),
            "target": torch.ones_like(given.pred),
        },
    }
    if not given.on_latents:
        places["an empty mask"] = {"mask": torch.zeros_like(given.mask)}
    for name, changes in places.items():
        leaves = [changes.get(key, getattr(given, key)).clone().requires_grad_() for key in _LEARNT]
        # Not the leaves themselves: a loss that edits its arguments has a rule of its own.
        sent = changes | {key: leaf * 1.0 for key, leaf in zip(_LEARNT, leaves, strict=True)}
        value = given.run(case, loss, **sent)
        where = f"{case.name}, {name}: gradient"
        if not value.requires_grad:
            continue
        grads = case.call(
            "its gradient",
            partial(torch.autograd.grad, value.sum(), leaves, allow_unused=True),
        )
        for grad in (one for one in grads if one is not None):
            require(
                bool(torch.isfinite(grad).all()),
                where,
                expected="finite numbers",
                got=f"{int((~torch.isfinite(grad)).sum())} of {grad.numel()} not finite",
                remedy="Take no root, logarithm or quotient at 0 without a floor.",
            )
            reached |= name == "random pictures" and bool(grad.abs().max() > 0)
    require(
        reached,
        f"{case.name}: gradient",
        expected="one that reaches pred, the rendered opacity, or the Gaussians' positions",
        got="none",
        remedy="Detach nothing, and round nothing.",
    )


def check_no_edits(case: Case) -> None:
    """The tensors it was given stay as they were."""
    given = Given(case)
    names = ARGUMENTS
    own = {name: getattr(given, name).clone() for name in names}
    before = {name: tensors_digest(tensor) for name, tensor in own.items()}
    given.run(case, case.built(), **own)
    edited = [name for name in names if tensors_digest(own[name]) != before[name]]
    require(
        not edited,
        f"{case.name}: its arguments",
        expected="tensors as they were",
        got=f"another {' and '.join(edited)}",
        remedy="Use no operation in place (clamp_, +=) on what was given.",
    )


def check_views_apart(case: Case) -> None:
    """The value of a view hangs on that view alone."""
    loss, given = case.built(), Given(case)
    before = given.run(case, loss)
    other = given.pred.clone()
    other[0, 0] = 1.0 - other[0, 0]
    alpha = given.alpha.clone()
    alpha[0, 0] = 1.0 - alpha[0, 0]
    mask = given.mask.clone()
    mask[0, 0, :, :9] = 0.0
    after = given.run(case, loss, pred=other, alpha=alpha, mask=mask)
    changed = (after - before).abs() > 1e-6 * (1 + before.abs())
    changed[0, 0] = False
    require(
        not bool(changed.any()),
        f"{case.name}: value of a view",
        expected="no change when another view changes",
        got=f"a change in {int(changed.sum())} other views",
        remedy="Take means and counts per view, over axes 2 to 4.",
    )


def check_twice(case: Case) -> None:
    """The same arguments give the same numbers."""
    given = Given(case)
    found = [tensors_digest(given.run(case, case.built())) for _ in range(2)]
    fresh = case.call("building it again", case.build)
    found.append(tensors_digest(given.run(case, fresh)))
    require(
        len(set(found)) == 1,
        f"{case.name}: a second call",
        expected="the same numbers",
        got="others",
        remedy="Draw nothing at random, and keep no state between calls.",
    )


def check_outside(case: Case) -> None:
    """A loss called ``masked...`` sees nothing outside the mask."""
    import torch

    assert case.spec is not None
    if not case.spec.name.startswith("masked"):
        not_applicable("claims no mask by its name (masked...)")
    loss, given = case.built(), Given(case)
    outside = (given.mask == 0).expand_as(given.pred)
    leaf = given.pred.clone().requires_grad_()
    before = given.run(case, loss, pred=leaf * 1.0)
    (grad,) = torch.autograd.grad(before.sum(), leaf)
    before = before.detach()
    after = given.run(case, loss, pred=torch.where(outside, 1.0 - given.pred, given.pred))
    loudest = float(grad[outside].abs().max())
    require(
        bool(torch.equal(before, after)) and loudest == 0.0,
        f"{case.name}: outside the mask",
        expected="no change of value and no gradient",
        got=f"a change of {float((after - before).abs().max()):.2g} and a gradient of "
        f"{loudest:.2g}",
        remedy="Drop those pixels (masked_fill) before anything is summed.",
    )


def check_reach(case: Case) -> None:
    """A loss that says how far beside the mask it looks is not changed by what lies beyond."""
    import torch

    loss, given = case.built(), Given(case)
    if not isinstance(loss, LocalLoss):
        not_applicable("says nothing of its reach (reach_px)")
    reach = loss.reach_px
    where = f"{case.name}: reach_px"
    require(
        type(reach) is int and reach >= 0,
        where,
        expected="whole pixels, at least 0",
        got=repr(reach),
        remedy="Leave it out if the loss looks at whole pictures.",
    )
    window, sizes = 2 * reach + 1, given.mask.shape[:2]
    grown = torch.nn.functional.max_pool2d(given.mask.flatten(0, 1), window, 1, reach)
    beyond = grown.unflatten(0, sizes) == 0
    leaves = [given.pred.clone().requires_grad_(), given.alpha.clone().requires_grad_()]
    before = given.run(case, loss, pred=leaves[0] * 1.0, alpha=leaves[1] * 1.0)
    changes = {
        "pred": torch.where(beyond, 1.0 - given.pred, given.pred),
        "alpha": torch.where(beyond, 1.0 - given.alpha, given.alpha),
    }
    after = given.run(case, loss, **changes)
    grads: tuple[Tensor | None, ...] = ()
    if before.requires_grad:
        grads = torch.autograd.grad(before.sum(), leaves, allow_unused=True)
    before, after = before.detach(), after.detach()
    loudest = max(
        (float((one * beyond).abs().max()) for one in grads if one is not None), default=0
    )
    require(
        bool(torch.equal(before, after)) and loudest == 0,
        where,
        expected=f"no change and no gradient more than {reach} px beside the mask",
        got=f"a change of {float((after - before).abs().max()):.2g} and a gradient of "
        f"{loudest:.2g}",
        remedy="Give a larger reach_px, or leave it out.",
    )


def check_errors(case: Case) -> None:
    """Shapes that do not agree are errors in one line; nothing broadcasts by luck."""
    loss, given = case.built(), Given(case)
    wrong = {
        "a target of one view": {"target": given.target[:, :1]},
        "a target of another size": {"target": given.target[..., :12, :12]},
        "channels last": {
            "pred": given.pred.permute(0, 1, 3, 4, 2),
            "target": given.target.permute(0, 1, 3, 4, 2),
        },
    }
    if given.on_latents:
        wrong.pop("channels last")
    else:
        wrong["a mask of another size"] = {"mask": given.mask[..., :12, :12]}
    for name, changes in wrong.items():
        if _ignores(case, given, changes):
            continue
        found = case.attempt(name, partial(given.bare, loss, **changes))
        if found.error is None:
            fail(
                f"{case.name}, {name}",
                expected="a ShapeError",
                got=f"a value of {list(getattr(found.value, 'shape', []))}",
                remedy="Call check_pictures of mfl_adapt.metrics first.",
            )
        check_refusal(case, name, found.error)


def _ignores(case: Case, given: Given, changes: dict[str, Tensor]) -> bool:
    """Whether the loss looks at nothing that was changed, as one on opacity alone."""
    import torch

    noise = {name: torch.rand_like(getattr(given, name)) for name in changes}
    same = given.run(case, case.built())
    return bool(torch.equal(same, given.run(case, case.built(), **noise)))


_LOSSES = (LossSpec,)
RULES = (
    Rule(
        "L01-shape",
        _LOSSES,
        "One finite number per view, [B, V], under any mask",
        check_shape,
        ("C02-build",),
    ),
    Rule(
        "L02-gradients",
        _LOSSES,
        "Gradients are finite, also at the optimum, and reach pred",
        check_gradients,
        ("L01-shape",),
    ),
    Rule(
        "L03-no-edits",
        _LOSSES,
        "The tensors it was given stay as they were",
        check_no_edits,
        ("L01-shape",),
    ),
    Rule(
        "L04-views-apart",
        _LOSSES,
        "The value of a view hangs on that view alone",
        check_views_apart,
        ("L05-same-twice",),
    ),
    Rule(
        "L05-same-twice",
        _LOSSES,
        "The same arguments give the same numbers",
        check_twice,
        ("L01-shape",),
    ),
    Rule(
        "L06-outside",
        _LOSSES,
        "A loss called masked... sees nothing outside the mask",
        check_outside,
        ("L02-gradients", "L04-views-apart", "L05-same-twice"),
    ),
    Rule(
        "L07-errors",
        _LOSSES,
        "Shapes that do not agree are refused, never broadcast",
        check_errors,
        ("L05-same-twice",),
    ),
    Rule(
        "L08-reach",
        _LOSSES,
        "A loss that says how far beside the mask it looks (reach_px) looks no further",
        check_reach,
        ("L03-no-edits", "L06-outside"),
    ),
)

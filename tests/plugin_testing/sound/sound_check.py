"""Looks for pictures that are too dark: a check that breaks no rule."""

from mfl_adapt.plugin import CheckSpec, ComponentConfig, Finding, hookimpl

MFL_API = 1


class DarkConfig(ComponentConfig):
    """Settings of ``dark``."""

    least: float = 200.0


class Dark:
    def __init__(self, config):
        self.least = config.least

    def __call__(self, facts):
        for view in facts.sample.views:
            if view.mask is None or not view.mask.any():
                continue
            inside = view.rgb[view.mask > 0]
            mean = float(inside.mean())
            if mean < self.least:
                yield Finding(
                    code="SOUND001",
                    severity="info",
                    where=f"{facts.sample.id}/{view.name}",
                    value=f"mean level {mean:.1f}",
                    expected=f"at least {self.least:g}",
                    remedy="Use more light.",
                    excess=self.least - mean,
                )


@hookimpl
def register_components():
    return [
        CheckSpec(
            name="dark",
            summary="Pictures that are bright enough",
            config=DarkConfig,
            build="sound_check:Dark",
            code="SOUND001",
            subject="sample",
        )
    ]

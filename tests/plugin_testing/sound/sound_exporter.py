"""Positions as rows of numbers: an exporter that breaks no rule."""

from mfl_adapt.plugin import ComponentConfig, ExporterSpec, hookimpl

MFL_API = 1


class XyzConfig(ComponentConfig):
    """``xyz`` has nothing to set."""


class Xyz:
    def __init__(self, config):
        self.config = config

    def __call__(self, gaussians, path):
        from mfl_adapt.checks import check_finite, check_range, check_same_shape
        from mfl_adapt.files import write_atomically

        check_same_shape("sound_exporter.xyz: scales", gaussians.means, gaussians.scales)
        check_finite("sound_exporter.xyz: means", gaussians.means)
        most = float(gaussians.opacities.max())
        check_range("sound_exporter.xyz: opacities", most, 0, 1, hint="Give activated values.")
        rows = [" ".join(f"{x:.6f}" for x in point) for point in gaussians.means[0].tolist()]
        data = "\n".join(rows).encode()
        write_atomically(path, data)


@hookimpl
def register_components():
    return [
        ExporterSpec(
            name="xyz",
            summary="Positions as text",
            config=XyzConfig,
            build="sound_exporter:Xyz",
            suffix=".xyz",
        )
    ]

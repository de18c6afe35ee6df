"""Writes a configuration so that loading it gives the same configuration."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from mfl_adapt.config.layers import Keys, dotted
from mfl_adapt.config.loading import LoadedConfig
from mfl_adapt.config.models import RunConfig


class _Representer(RoundTripRepresenter):
    """Writes ``null`` where ruamel would leave the value empty."""

    def represent_none(self, data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def to_plain(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as plain JSON values, with every default written out."""
    return config.model_dump(mode="json", exclude={"extends"})


def dump_config(config: RunConfig) -> str:
    """Return a configuration as YAML that loads back to the same one."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 4096  # a long path stays on its line
    stream = StringIO()
    yaml.dump(to_plain(config), stream)
    return stream.getvalue()


def describe_origins(loaded: LoadedConfig) -> list[tuple[str, Any, str, str]]:
    """Return dotted key, value, kind of source and place of every value."""
    rows: list[tuple[str, Any, str, str]] = []

    def visit(value: Any, keys: Keys) -> None:
        if isinstance(value, dict) and value:
            for key, each in value.items():
                visit(each, (*keys, key))
            return
        origin = loaded.merged.origin(keys)
        rows.append((dotted(keys), value, origin.kind, origin.place))

    visit(to_plain(loaded.config), ())
    return rows

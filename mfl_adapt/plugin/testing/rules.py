"""All rules, in the order in which they are tried."""

from mfl_adapt.plugin.testing import (
    adapter_rules,
    base_rules,
    check_rules,
    component_rules,
    exporter_rules,
    loss_rules,
    plugin_rules,
    policy_rules,
    reader_rules,
    stage_rules,
)
from mfl_adapt.plugin.testing.rule import Rule

RULES: tuple[Rule, ...] = (
    *plugin_rules.RULES,
    *component_rules.RULES,
    *reader_rules.RULES,
    *stage_rules.RULES,
    *loss_rules.RULES,
    *policy_rules.RULES,
    *check_rules.RULES,
    *exporter_rules.RULES,
    *adapter_rules.RULES,
    *base_rules.RULES,
)
"""Every rule of the kit."""

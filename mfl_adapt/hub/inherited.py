"""Which licences an adapter carries: its own, and that of the base it was made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import AdapterError, PluginError
from mfl_adapt.models.fetched import read_fetched
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.plugin.registry import load_plugins

if TYPE_CHECKING:
    from mfl_adapt.adapter.card import CardLicence


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which licences an adapter is published.

    Attributes:
        own: Of the adapter; that of its base where nobody stated another.
        inherited: Of its bases, without doubles.
        source: Repository of the base's weights, with the commit after ``@`` if it was fetched
            here; empty if they are not published.
    """

    own: CardLicence
    inherited: tuple[CardLicence, ...]
    source: str

    def names(self) -> list[str]:
        """Return the names of all licences, the adapter's own first."""
        return list(dict.fromkeys(one.name for one in (self.own, *self.inherited)))


def find_terms(passport: Mapping[str, Any], licence: str | None, where: str) -> Terms:
    """Join what the passport and the base's plugin say with what the publisher wishes.

    A licence is never dropped: what the plugin of the base states is carried even where the
    passport says nothing of it.

    Args:
        passport: The adapter's passport.
        licence: What the publisher chose; None keeps the passport's.
        where: The adapter, for messages.

    Raises:
        AdapterError: If the choice would lift a limit of the base, or there is no licence at all.
    """
    from mfl_adapt.adapter.card import CardLicence, licence_word, licences_of

    own, stated = licences_of(passport)
    spec = _base_spec(passport)
    inherited = list(stated)
    if spec is not None and spec.licence is not None:
        wanted = CardLicence(spec.licence.name, spec.licence.terms, passport["base"]["id"])
        if all(one.name != wanted.name for one in inherited):
            inherited.append(wanted)
    inherited = list({(one.name, one.of): one for one in inherited}.values())
    binding = [one for one in inherited if licence_word(one.name) is None]
    if licence is not None:
        own = CardLicence(licence)
    if binding and own is not None and own.name not in {one.name for one in binding}:
        of = f" of {binding[0].of}" if binding[0].of else ""
        raise AdapterError(
            f"{where}: expected the licence {binding[0].name}{of} ({binding[0].terms}), which an "
            f"adapter inherits from its base, got {own.name}. Name that one with --licence."
        )
    if own is None and inherited:
        own = CardLicence((binding or inherited)[0].name)  # the terms stand with the base
    if own is None:
        raise AdapterError(
            f"{where}: expected a licence in the passport or from the plugin of the base "
            f"{passport['base'].get('id')}, got none. Name one with --licence."
        )
    return Terms(own, tuple(inherited), _source(passport, spec))


def _base_spec(passport: Mapping[str, Any]) -> BaseSpec | None:
    """What the plugin of the base says; None where it is not installed."""
    named = passport["base"].get("id")
    # A file that somebody sent must not name a path, which would be run.
    if not isinstance(named, str) or not all(map(str.isidentifier, named.split("."))):
        return None
    try:
        return load_plugins([named.partition(".")[0]]).component(BaseSpec, named).spec
    except PluginError:
        return None


def _source(passport: Mapping[str, Any], spec: BaseSpec | None) -> str:
    """Repository of the base, with the commit if these very weights were fetched."""
    if spec is None or spec.published is None:
        return ""
    repository = spec.published.repository
    fetched = read_fetched(passport["base"]["id"])
    sha256 = passport["base"].get("sha256")
    if fetched and any(file.sha256 == sha256 for file in fetched.files.values()):
        return f"{repository}@{fetched.commit}"
    return repository

"""What labels are called, in which colour they are shown, and which page of the collector has more.

Networks have the names of the list that probes and the collector ship; any other shows its number.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import TableColorTextCellOptions
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink as Link,
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

from probe import reference_data

OUTCOME_COLOURS: Final = {
    "ok": "green",
    "blocked": "red",
    "intercepted": "purple",
    "throttled": "orange",
    "refused": "yellow",
    "down": "text",
    "inconclusive": "blue",
}
KIND_COLOURS: Final = {
    "blocking": "red",
    "interception": "purple",
    "throttling": "orange",
    "shutdown": "dark-red",
    "whitelist": "dark-orange",
}
# The page of each label: its title, its path, and the labels whose values the path needs.
_PAGES: Final = {
    "target": ("Site {target} at the collector", "/site/{target}"),
    "asn": ("Network AS{asn} at the collector", "/network/{asn}"),
    "category": ("Category {category} at the collector", "/category/{category}"),
    "kind": ("Events: {kind}", "/events?kind={kind}"),
    "authority": ("Certificates that were served, with {authority}", "/interceptions"),
}
# The cells that name nothing lead to the page of the first of these that the table has.
_OWNERS: Final = ("kind", "target", "asn", "authority", "category")


def collector_page(path: str) -> str:
    """The address of a page of the collector: its own address is a variable of each dashboard."""
    return "${collector:raw}" + path


def _link(label: str, values: Mapping[str, str]) -> DashboardLink:
    title, path = _PAGES[label]
    made = DashboardLink(title.format_map(values)).url(collector_page(path.format_map(values)))
    return made.target_blank(target_blank=True)


def links_of_series(legends: Iterable[str]) -> list[Builder[Link]]:
    """A link for each label that any legend names."""
    text = " ".join(legends)
    return [
        _link(label, {label: f"${{__field.labels.{label}}}"})
        for label in _PAGES
        if "{{" + label + "}}" in text
    ]


def properties_of_column(label: str, columns: Mapping[str, str]) -> list[DynamicConfigValue]:
    """How a table shows one label: its link, and its values' names and colours."""
    found = []
    owner = label if label in _PAGES else next((one for one in _OWNERS if one in columns), "")
    if owner:
        link = _link(owner, {owner: _of_row(owner, columns)}).build()
        found.append(DynamicConfigValue(id_val="links", value=[_narrowed(link, owner, columns)]))
    if not label.startswith("Value"):
        # Grafana takes a label of digits for a number; an ASN stays one, for the links.
        unit = "none" if label == "asn" else "string"
        found.append(DynamicConfigValue(id_val="unit", value=unit))
    if mapping := _mapping(label):
        found.append(DynamicConfigValue(id_val="mappings", value=[mapping]))
    if label in {"outcome", "kind"}:
        cell = TableColorTextCellOptions()
        found.append(DynamicConfigValue(id_val="custom.cellOptions", value=cell))
    return found


def _of_row(label: str, columns: Mapping[str, str]) -> str:
    """The value of this label in the row of a cell; an ASN is shown as a name."""
    numeric = ".numeric" if label == "asn" else ""
    return f"${{__data.fields.{columns[label]}{numeric}}}"


def _narrowed(link: Link, owner: str, columns: Mapping[str, str]) -> Link:
    """A link to events: only those of the row's network."""
    if owner == "kind" and "asn" in columns and link.url:
        link.url += f"&asn={_of_row('asn', columns)}"
    return link


def _mapping(label: str) -> ValueMap | None:
    match label:
        case "asn":
            known = {str(asn): f"{name} (AS{asn})" for asn, name in sorted(_networks().items())}
            results = {asn: ValueMappingResult(text=text) for asn, text in known.items()}
            return ValueMap(options={"0": ValueMappingResult(text="whole country"), **results})
        case "outcome":
            return _coloured(OUTCOME_COLOURS)
        case "kind":
            return _coloured(KIND_COLOURS)
    return None


def _coloured(colours: Mapping[str, str]) -> ValueMap:
    return ValueMap(
        options={word: ValueMappingResult(text=word, color=c) for word, c in colours.items()}
    )


def _networks() -> Mapping[int, str]:
    return reference_data.networks()

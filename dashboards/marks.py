"""Where events began and ended: expressions for panels, and the marks on every panel.

Rule: the counts of events are compared with an earlier value, never read as rates. They count what
is stored, and may fall by one when later looks show that an event lasts.
"""

from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import SOURCE

# Recorded: the counts as last seen within a day, so that a collector's absence begins no event.
COUNTS = "job_kind_country_asn_state:qazprobe_events:last1d"
PLACE = "max by (kind, country, asn)"


def more(scope: str, state: str, ago: str = "$__interval") -> str:
    """How many events came as far as this state since some time ago, by place; none is nothing.

    Compared series by series, and what did not rise is left out before it is summed: over weeks
    that takes a third of the time.
    """
    counted = _counted(scope, state)
    before = f"{counted} offset {ago}"
    return f"{PLACE} (({counted} - {before} > 0) or ({counted} unless {before})) > 0"


def _risen(scope: str, state: str) -> str:
    """The places and times at which there are more, for marks, which show no number."""
    counted = _counted(scope, state)
    before = f"{counted} offset $__interval"
    return f"{PLACE} (({counted} > {before}) or ({counted} unless {before})) > 0"


def _counted(scope: str, state: str) -> str:
    return f'{COUNTS}{{{scope}, state="{state}"}}'


def begun_and_ended(scope: str, labels: str) -> tuple[str, str]:
    """Two series for bars: events begun since the point before, and those ended, below zero."""
    begun, ended = (more(scope, state) for state in ("confirmed", "ended"))
    return f"sum by ({labels}) ({begun})", f"-sum by ({labels}) ({ended})"


def under_way(scope: str) -> str:
    """How many confirmed events are under way, by place."""
    return f"{PLACE} (qazprobe_event_active{{{scope}}}) > 0"


class _Marks(models.AnnotationQuery):
    """What Grafana's Prometheus source reads of an annotation and the SDK has no fields for."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            # Finer ones cost seconds over a fortnight; the page of an event has its bracket.
            "step": "15m",
            "tagKeys": "kind,country,asn",
            "titleFormat": f"{self._title} in {{{{country}}}} {{{{asn}}}}",
            "useValueForTime": False,
        }


class _MarksBuilder(builders.AnnotationQuery):
    def __init__(self, title: str) -> None:
        super().__init__()
        self._internal: Any = _Marks(title)


def annotations(scope: str) -> list[builders.AnnotationQuery]:
    """Marks on every panel: where events began and ended, and while a line was cut."""
    line = f'{scope}, kind=~"shutdown|whitelist"'
    return [
        _annotation("Events that began", _risen(scope, "confirmed"), "red", "{{kind}} began"),
        _annotation("Events that ended", _risen(scope, "ended"), "green", "{{kind}} ended"),
        _annotation("Shutdowns and whitelists", under_way(line), "orange", "{{kind}}"),
    ]


def _annotation(name: str, expr: str, colour: str, title: str) -> builders.AnnotationQuery:
    made = _MarksBuilder(title).name(name).datasource(SOURCE).enable(enable=True).expr(expr)
    return made.hide(hide=False).icon_color(colour)

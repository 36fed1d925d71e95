"""Make a page of a template.

Rule: a page is one document without scripts and without anything from elsewhere; every value is
escaped; its style is the one that its Content-Security-Policy names by hash.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def style() -> str:
    """The style of every page."""
    file = resources.files("collector.web") / "templates" / "style.css"
    return file.read_text(encoding="utf-8")


@cache
def headers() -> Mapping[str, str]:
    """The headers of every page."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Cache-Control": "no-store"}


def render(template: str, **values: object) -> str:
    """A page as HTML."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("collector.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # It is a file of this program, and an escaped quote would change what is hashed.
    made.globals["style"] = Markup(style())  # noqa: S704 - see above
    made.filters |= {"day": day, "minute": minute, "number": number}
    return made


def day(at: float) -> str:
    """The day of an instant; a dash for none."""
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at else "-"


def minute(at: float) -> str:
    """An instant to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "-"


def number(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")

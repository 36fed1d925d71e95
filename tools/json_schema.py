"""The JSON Schema of a record, made from the types themselves.

Rule: the types are the truth; `docs/schema/qazprobe-1.json` is what they say, checked in so that
other people's tools need no Python. A test fails when the two differ.
"""

import inspect
import json
from typing import Any, cast

import msgspec

from probe.model import SCHEMA, Record

FILE = "schema/qazprobe-1.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema of one line of a probe's output."""
    found = msgspec.json.schema(Record)
    made = {"$schema": DIALECT, "title": f"One {SCHEMA} record", **found}
    return cast("dict[str, Any]", json.loads(json.dumps(_tidied(made))))


def _tidied(value: Any) -> Any:
    """Descriptions without the indentation of the source, which differs between Pythons."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(item)
            if key == "description" and isinstance(item, str)
            else _tidied(item)
            for key, item in value.items()
        }
    return [_tidied(item) for item in value] if isinstance(value, (list, tuple)) else value


def text() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"

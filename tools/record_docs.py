"""Write the reference pages that the code declares: `python -m tools.record_docs [--check] [DOCS]`.

Rule: a field, a word or a kind is described once, where it is declared. `docs/record.md`,
`docs/failures.md` and the JSON Schema repeat it, and are never edited by hand.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import msgspec
from msgspec import inspect as types

from probe import model
from probe.failure import MEANINGS, Failure
from tools import json_schema
from tools.commands_docs import wrapped

_ENTRY = re.compile(r"(?P<names>[a-z_0-9]+(?:, [a-z_0-9]+)*): (?P<text>.*)", re.DOTALL)
_MORE = re.compile(r"(?<=[.;]) (?=[a-z_0-9]+(?:, [a-z_0-9]+)*: )")
_NOTE = "<!-- Made from the code by `python -m tools.record_docs`. Do not edit. -->\n"

# The order in which a reader meets them.
_STRUCTS: tuple[type[msgspec.Struct], ...] = (
    model.Record, model.Vantage, model.Base, model.Travel, model.Packet,
    model.Dns, model.Reply, model.Tcp, model.Tls,
    model.Trust, model.Authority, model.Http, model.Quic, model.Transfer, model.Sample, model.Ping,
    model.Line, model.Control, model.Verdict, model.StopPlace, model.RuleHit, model.RunFacts,
    model.Skip,
)  # fmt: skip
_ENUMS: tuple[type[Enum], ...] = (
    model.Outcome, model.Mechanism, model.Stage, model.Role, model.TrustReason,
)  # fmt: skip


def record_page() -> str:
    """The reference of the record, field by field."""
    parts = [
        "# The record, field by field\n",
        _NOTE,
        f"{_prose(model.__doc__ or '')}\n",
        "As JSON Schema, with the bounds of every field:",
        f"[`{json_schema.FILE}`]({json_schema.FILE}).",
        "What the failures mean: [failures.md](failures.md).\n",
        *map(_struct, _STRUCTS),
        "## Words\n",
        *map(_enum, _ENUMS),
    ]
    return "\n".join(parts)


def failures_page() -> str:
    """The closed list of failures, with what each word means."""
    rows = (f"| `{failure}` | {MEANINGS[failure]} |" for failure in Failure)
    return "\n".join(
        [
            "# Failures\n",
            _NOTE,
            "How one network operation can fail, in OONI's words (data format df-007) where OONI",
            "has one. The list is closed: what more is known goes into a field of the step",
            "(`alert`, `errno`, a reply's `rcode`, `bytes_in`), never into a new word. A failure",
            "says what happened, not whose fault it is: that is a rule's business.\n",
            "| failure | means |",
            "|---|---|",
            *rows,
            "",
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "record.md": record_page,
    "failures.md": failures_page,
    json_schema.FILE: json_schema.text,
}


def stale(docs: Path) -> list[str]:
    """The pages whose file is not what the code says."""
    return [name for name, make in PAGES.items() if _read(docs / name) != make()]


def write(docs: Path) -> None:
    """Make every page anew."""
    for name, make in PAGES.items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are stale."""
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    docs = folders[0] if folders else Path(__file__).parent.parent / "docs"
    if "--check" not in arguments:
        write(docs)
        return 0
    found = stale(docs)
    for name in found:
        sys.stderr.write(f"{docs / name} is stale: run python -m tools.record_docs\n")
    return 1 if found else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _struct(struct: type[msgspec.Struct]) -> str:
    summary, described = _docstring(struct)
    shown = types.type_info(struct)
    assert isinstance(shown, types.StructType)  # noqa: S101 - for the type checker
    own = _own_fields(struct)
    title = "What every step has" if struct is model.Base else struct.__name__
    tag = f" (`op` is `{shown.tag}`)" if shown.tag else ""
    rows = [
        f"| `{field.encode_name}` | {_shown(field.type)} | {_meaning(field.name, described)} |"
        for field in shown.fields
        if field.name in own
    ]
    lines = [f"## {title}{tag}\n", f"{summary}\n", "| field | type | means |", "|---|---|---|"]
    return "\n".join([*lines, *rows, ""])


def _meaning(name: str, described: dict[str, str]) -> str:
    return described.get(name) or _COMMON.get(name, "")


def _own_fields(struct: type[msgspec.Struct]) -> set[str]:
    """The fields that are not said to belong to every step already."""
    names = set(struct.__struct_fields__)
    if struct is not model.Base and issubclass(struct, model.Base):
        names -= set(model.Base.__struct_fields__)
    return names


def _enum(enum: type[Enum]) -> str:
    words = ", ".join(f"`{member.value}`" for member in enum)
    return f"### {enum.__name__}\n\n{_prose(enum.__doc__ or '')}\n\n{wrapped(words)}\n"


def _docstring(struct: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """The prose of a docstring, and what its `Attributes:` say of each."""
    prose, _, attributes = inspect.cleandoc(struct.__doc__ or "").partition("Attributes:")
    described: dict[str, str] = {}
    for names, text in _entries(attributes):
        for name in names.split(", "):
            described[name] = text.replace("|", "\\|")
    return _prose(prose), described


def _entries(attributes: str) -> Iterator[tuple[str, str]]:
    for block in re.split(r"\n    (?=\S)", attributes):
        for sentence in _MORE.split(" ".join(block.split())):
            if found := _ENTRY.fullmatch(sentence):
                yield found["names"], found["text"]


def _prose(text: str) -> str:
    return inspect.cleandoc(text).strip()


# What means the same wherever it stands.
_COMMON = {
    "role": "The purpose of the step.",
    "name": "The name that was queried.",
    "transport": "The transport of the query.",
    "replies": "Every reply, in order; several indicate injection.",
    "address": "The address of the server.",
    "port": "The port of the server.",
    "errno": "The operating system's number for the error.",
    "sni": "The name offered in TLS, or null.",
    "version": "The negotiated version of the protocol.",
    "versions": "QUIC versions that the server offered.",
    "cipher": "The negotiated cipher suite.",
    "alpn": "The negotiated application protocol.",
    "alert": "Number of the TLS alert that ended it.",
    "chain": "SHA-256 of every certificate served, leaf first.",
    "trust": "What the chain proves; null if no certificate was received.",
    "url": "The URL that was fetched.",
    "host": "The Host header.",
    "method": "The method of the request.",
    "bytes_out": "Bytes sent.",
    "bytes_in": "Bytes received.",
    "datagrams_out": "Datagrams sent.",
    "datagrams_in": "Datagrams received.",
    "direction": "`down`: to the probe; `up`: from the probe.",
    "wire_bytes": "Bytes of ciphertext.",
    "connect_seconds": "How long TCP took to connect.",
    "handshake_seconds": "How long the TLS handshake took.",
    "first_byte_seconds": "From the request to the first byte of the answer.",
    "longest_gap": "The longest gap between two arrivals, seconds.",
    "segment_bytes": "TCP's segment size.",
    "samples": "Samples of the running transfer.",
    "steps": "The steps, or for a rule the numbers of those it rests on.",
    "id": "Its permanent id.",
    "reason": "One sentence.",
    "input": "The URL.",
    "vantage": "The vantage point.",
    "schema": "The name of this format.",
    "age": "Its `started_at` minus ours, seconds: negative is before.",
    "ipv6": "Whether the line has IPv6.",
}

_PLAIN = {
    types.StrType: "text",
    types.IntType: "whole number",
    types.FloatType: "number",
    types.BoolType: "true or false",
    types.NoneType: "null",
}


def _shown(kind: types.Type) -> str:
    """A type in words."""
    match kind:
        case types.UnionType():
            structs = sum(isinstance(one, types.StructType) for one in kind.types)
            return "a step" if structs > 1 else " or ".join(map(_shown, kind.types))
        case types.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values)
        case types.VarTupleType():
            return f"list of {_shown(kind.item_type)}"
        case types.DictType():
            return f"object of {_shown(kind.value_type)}"
        case types.EnumType() | types.StructType():
            return kind.cls.__name__
        case _:
            return _PLAIN[type(kind)]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

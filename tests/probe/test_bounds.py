"""Every field is bounded by its type, and a probe clips whatever a server sent to that."""

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import inspect as types
from msgspec.structs import replace

from probe import api_types, codec, experiments
from probe.clip import UnfitError, within_bounds
from probe.lab.cases import judged, load
from probe.model import Dns, Http, Record, Reply, Tcp, Trust
from probe.runner.record_builder import fit
from probe.words import EXPERIMENTS
from tests import build

CASES = load(Path(__file__).parents[1] / "cases")
MESSAGES = [
    one
    for _, one in inspect.getmembers(api_types, inspect.isclass)
    if issubclass(one, msgspec.Struct) and one.__module__ == api_types.__name__
]
PAGE = Http(url="http://a.example/", address="192.0.2.1", port=80, host="a.example")
DNS = Dns(name="a.example", resolver="system")
STARTED = "2026-11-21T00:00:00.000Z"


def unbounded(  # noqa: C901 - an arm for each kind of type
    kind: types.Type, where: str, seen: set[type]
) -> Iterator[str]:
    """Where in a type a text, a number or a list has no bound."""
    match kind:
        case types.StructType():
            if kind.cls not in seen:
                seen.add(kind.cls)
                for field in kind.fields:
                    yield from unbounded(field.type, f"{kind.cls.__name__}.{field.name}", seen)
        case types.UnionType():
            for one in kind.types:
                yield from unbounded(one, where, seen)
        case types.VarTupleType():
            if kind.max_length is None:
                yield where
            yield from unbounded(kind.item_type, f"{where}[]", seen)
        case types.DictType():
            if kind.max_length is None:
                yield where
            yield from unbounded(kind.key_type, f"{where} key", seen)
            yield from unbounded(kind.value_type, f"{where}[]", seen)
        case types.StrType() if kind.max_length is None:
            yield where
        case types.IntType() | types.FloatType() if kind.ge is None or kind.le is None:
            yield where
        case types.AnyType() | types.BytesType() | types.ListType():
            yield where


@pytest.mark.parametrize("struct", [Record, *MESSAGES], ids=lambda one: one.__name__)
def test_every_field_has_a_bound(struct: type[msgspec.Struct]) -> None:
    assert list(unbounded(types.type_info(struct), struct.__name__, set())) == []


def test_the_experiments_are_those_that_the_probe_has() -> None:
    assert {*experiments.load(), "run"} == set(EXPERIMENTS)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_record_of_the_probe_is_within_the_bounds(case: Any) -> None:
    record = judged(case)
    assert codec.decode(codec.encode(record)) == record
    assert fit(record) is record
    assert within_bounds(record) is record


@pytest.mark.parametrize(
    "changes",
    [
        {"elapsed": 1e300},
        {"elapsed": -1.0},
        {"experiment": "invented"},
        {"experiment": "web\n"},
        {"started_at": "9999-01-01T00:00:00Z"},
        {"started_at": "2026-11-21T00:00:00.000Z\n"},
        {"started_at": "yesterday"},
        {"input": "https://a.example/" + "x" * 2048},
        {"steps": (PAGE,) * 2001},
        {"steps": (replace(PAGE, hop=2**63 - 1),)},
        {"steps": (replace(PAGE, hop=-1),)},
        {"steps": (replace(PAGE, id=10**9),)},
        {"steps": (replace(PAGE, fuzzy="no number"),)},
        {"steps": (replace(PAGE, headers={str(one): "" for one in range(33)}),)},
        {"steps": (replace(PAGE, title="x" * 257),)},
        {"steps": (replace(PAGE, port=65_536),)},
        {"steps": (replace(DNS, replies=(Reply(at=0.0, rcode=0, answers=("x" * 65,)),)),)},
        {"steps": (replace(DNS, replies=(Reply(at=0.0, rcode=0, answers=("1",) * 257),)),)},
        {"steps": (replace(DNS, replies=(Reply(at=0.0, rcode=0),) * 65),)},
        {"certs": {str(one): "" for one in range(65)}},
    ],
)
def test_a_record_beyond_its_bounds_is_refused(changes: dict[str, Any]) -> None:
    record = replace(build.record(), started_at=STARTED)
    assert codec.decode(codec.encode(record)) == record
    with pytest.raises(codec.CodecError):
        codec.decode(codec.encode(replace(record, **changes)))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 400, "-1", "1.5", "true"])
def test_what_is_no_number_of_a_hop_is_refused(number: str) -> None:
    line = codec.encode(replace(build.record(), started_at=STARTED, steps=(PAGE,)))
    with pytest.raises(codec.CodecError):
        codec.decode(line.replace(b'"hop":0', f'"hop":{number}'.encode()))


# --- clipping ---------------------------------------------------------------------------------

NUMBERS = st.sampled_from((0, 1, -1, 2**31, 2**62, -(2**62), 10**30, -(10**30)))
FLOATS = st.floats() | st.sampled_from((0.0, -1.0, 1e300, -1e300, math.inf, -math.inf, math.nan))
TEXTS = st.text(max_size=20) | st.builds(
    "".join, st.tuples(st.text(max_size=5), st.sampled_from(("x" * 9000, "\ud800", "я" * 300)))
)


def hostile(  # noqa: C901, PLR0911 - an arm for each kind of type
    kind: types.Type,
) -> st.SearchStrategy[Any]:
    """Any value of the Python type, within no bounds."""
    match kind:
        case types.StrType():
            return TEXTS
        case types.IntType():
            return NUMBERS
        case types.FloatType():
            return FLOATS
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
        case types.EnumType():
            return st.sampled_from(list(kind.cls))
        case types.LiteralType():
            return st.sampled_from(kind.values)
        case types.VarTupleType():
            few = st.lists(hostile(kind.item_type), max_size=2)
            return st.builds(lambda one, times: tuple(one * times), few, st.sampled_from((1, 200)))
        case types.DictType():
            texts = hostile(kind.key_type)
            return st.dictionaries(texts, hostile(kind.value_type), max_size=3)
        case types.UnionType():
            return st.one_of(*map(hostile, kind.types))
        case types.StructType():
            values = {field.name: hostile(field.type) for field in kind.fields}
            return st.builds(kind.cls, **values)
        case _:
            raise TypeError(kind)


STEP_KINDS = (Dns, Http, Tcp)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_steps_make_a_record_that_is_accepted(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(STEP_KINDS), min_size=1, max_size=3))
    steps = tuple(data.draw(hostile(types.type_info(kind))) for kind in kinds)
    record = fit(replace(build.record(), started_at=STARTED, steps=steps))
    assert codec.decode(codec.encode(record)) == record


@settings(max_examples=60, deadline=None)
@given(hostile(types.type_info(Trust)))
def test_a_hostile_certificate_is_clipped(trust: Trust) -> None:
    clipped = within_bounds(trust)
    assert msgspec.json.decode(msgspec.json.encode(clipped), type=Trust) == clipped


def test_clipping_keeps_what_fits() -> None:
    page = replace(PAGE, title="я" * 300, fuzzy="no number", declared_bytes=2**60, hop=-3)
    page = replace(page, headers={"server": "x", "via": "y" * 300}, links=("a.example",) * 100)
    clipped = within_bounds(replace(build.record(), steps=(PAGE, page)))
    assert clipped.steps[0] is PAGE
    assert clipped.steps[1] == replace(
        page,
        title="я" * 256,
        fuzzy=None,
        declared_bytes=2**50,
        hop=0,
        headers={"server": "x"},
        links=("a.example",) * 64,
    )


def test_a_required_field_without_a_counterpart_cannot_be_clipped() -> None:
    with pytest.raises(UnfitError):
        within_bounds(replace(build.record(), experiment="invented"))


def test_a_step_without_a_counterpart_is_left_out() -> None:
    odd = replace(DNS, replies=(Reply(at=math.nan, rcode=0), Reply(at=0.5, rcode=3)))
    clipped = within_bounds(replace(build.record(), steps=(odd,)))
    assert clipped.steps == (replace(odd, replies=odd.replies[1:]),)

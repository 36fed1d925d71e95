"""The schema and the reference say what the types say."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import fields

from probe import codec, model
from probe.failure import MEANINGS, Failure
from tools import json_schema, record_docs

DOCS = Path(__file__).parents[2] / "docs"


def test_what_is_checked_in_is_what_the_code_says() -> None:
    assert record_docs.stale(DOCS) == [], "run python -m tools.record_docs"


def test_the_schema_knows_every_field_of_every_step() -> None:
    made = json_schema.schema()
    assert made["$schema"] == json_schema.DIALECT
    definitions = made["$defs"]
    for struct in (model.Record, model.Dns, model.Http, model.Trust, model.Line, model.RunFacts):
        names = {field.encode_name for field in fields(struct)}
        assert names <= set(definitions[struct.__name__]["properties"])
    assert definitions["Tls"]["properties"]["op"]["enum"] == ["tls"]
    assert definitions["Http"]["additionalProperties"] is False
    assert json.loads(json_schema.text()) == made


def test_a_record_has_only_fields_of_the_schema() -> None:
    record = model.Record(
        id="i", run="r", experiment="web", input="https://a.example/", elapsed=1.0,
        started_at="2026-11-21T00:00:00Z", vantage=model.Vantage(),
        steps=(model.Tcp(address="192.0.2.1", port=443),),
    )  # fmt: skip
    written = msgspec.json.decode(codec.encode(record))
    assert set(written) <= set(json_schema.schema()["$defs"]["Record"]["properties"])


def test_the_reference_describes_fields_in_their_own_words() -> None:
    page = record_docs.record_page()
    assert "| `try` | whole number | 1 for the first measurement" in page
    assert "| `bytes_in` | whole number | TLS bytes sent and received" in page
    assert "list of a step" in page
    for outcome in model.Outcome:
        assert f"`{outcome}`" in page


def test_every_failure_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Failure)
    assert all(f"`{failure}`" in record_docs.failures_page() for failure in Failure)


def test_pages_are_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record_docs.main(["--check", str(tmp_path)]) == 1
    assert "stale" in capsys.readouterr().err
    assert record_docs.main([str(tmp_path)]) == 0
    assert record_docs.main(["--check", str(tmp_path)]) == 0


def test_every_field_is_described() -> None:
    rows = [row for row in record_docs.record_page().splitlines() if row.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []

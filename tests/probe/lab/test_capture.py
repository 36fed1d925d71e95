"""Golden cases: which files are accepted, and what of a record is kept in one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from probe import codec
from probe.judge import judge
from probe.lab.capture import condense, from_records, main, make, name_of
from probe.lab.cases import LIMIT, WIDTH, CaseError, expected, load, read, text
from probe.model import Http, Line, Record, Vantage
from tests.build import dns, fetched, page, record, tcp

OK = record(dns("93.184.216.34"), *fetched())
SHOWS = "The site proves its name."


def put(folder: Path, content: str, name: str = "web/proven.json") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def good(shows: str = SHOWS, made: Record = OK) -> str:
    return text(make(made, shows=shows))


def test_a_case_is_read_as_it_was_written(tmp_path: Path) -> None:
    case = make(OK, shows=SHOWS, scenario="innocent.fine")
    put(tmp_path, text(case))
    assert load(tmp_path) == {"web/proven": case}
    assert case.expect.rule == "ok.proven"
    assert case.expect.confidence == 0.99
    assert max(map(len, text(case).splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("web/proven.json", "this is not a record", "is no case"),
        ("web/proven.json", "{}", "missing required field"),
        ("web/proven.json", good().replace('"confidence"', '"sureness"'), "unknown field"),
        ("web/proven.json", good().replace('"rule": "ok.proven", ', ""), "`rule`"),
        ("web/proven.json", good().replace('"vantage": {}', '"vantage": {"mood": 1}'), "`mood`"),
        ("web/proven.json", good().replace('"vantage": {}', '"vantage":  {}'), "should be"),
        (
            "web/proven.json",
            good().replace('"vantage": {}', '"vantage": {}, "vantage": {}'),
            "should be",
        ),
        ("web/proven.json", good().rstrip(), "one newline"),
        ("web/proven.json", good() + "\n", "one newline"),
        ("web/proven.json", good(""), "in one sentence"),
        ("web/proven.json", good("To be written"), "in one sentence"),
        ("dns/proven.json", good(), "wrong folder"),
        ("proven.json", good(), "is named"),
        ("web/more/proven.json", good(), "is named"),
        ("web/proven.jsonl", good(), "is named"),
        ("web/Proven.json", good(), "is named"),
        ("web/.proven.json", good(), "is named"),
        ("web/proven.json", good() + " " * LIMIT, "bytes"),
    ],
)
def test_what_is_no_case_is_rejected(
    tmp_path: Path, name: str, content: str, complaint: str
) -> None:
    put(tmp_path, content, name)
    with pytest.raises(CaseError, match=complaint) as error:
        load(tmp_path)
    assert name in str(error.value)


def test_a_record_with_a_verdict_is_rejected(tmp_path: Path) -> None:
    case = make(OK, shows=SHOWS)
    put(tmp_path, text(replace(case, record=replace(case.record, verdict=judge(OK)))))
    with pytest.raises(CaseError, match="has a verdict"):
        load(tmp_path)


@pytest.mark.parametrize(
    "second", [good(made=replace(OK, elapsed=4.0)), good("Another sentence.")], ids=["text", "data"]
)
def test_a_copy_is_rejected(tmp_path: Path, second: str) -> None:
    put(tmp_path, good())
    put(tmp_path, second, "web/second.json")
    with pytest.raises(CaseError, match=r"web/second\.json: has the same"):
        load(tmp_path)


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    put(tmp_path, "one", "web/one.json")
    put(tmp_path, "two", "web/two.json")
    with pytest.raises(CaseError) as error:
        load(tmp_path)
    assert len(str(error.value).splitlines()) == 2


def test_what_no_rule_reads_is_left_out_and_the_verdict_stays() -> None:
    key = "ab" * 32
    step = page(body="QUJD", headers={"server": "x"}, links=("a.example",), sha256=key)
    seen = record(dns("93.184.216.34"), tcp(), *fetched()[1:2], step)
    seen = replace(
        seen, vantage=Vantage(country="KZ", asn=9198), elapsed=3.14159, verdict=judge(seen)
    )
    kept = condense(seen)
    http = next(s for s in kept.steps if isinstance(s, Http))
    assert (http.body, http.headers, http.links) == (None, {}, ())
    assert http.sha256 == key[:12]
    assert kept.vantage == Vantage(country="KZ")
    assert kept.elapsed == 3.142
    assert kept.verdict is None
    assert expected(judge(kept)) == expected(judge(seen))


def test_a_name_says_nothing_twice() -> None:
    case = make(OK, shows=SHOWS)
    signal = replace(OK, experiment="signal", input="service:signal")
    assert name_of(replace(case, scenario="tls.drop_hello")) == "web/tls_drop_hello"
    assert name_of(make(signal, scenario="services.signal_whole")) == "signal/whole"


def test_records_without_a_target_become_cases_without_a_sentence(tmp_path: Path) -> None:
    base = replace(OK, experiment="speed", input="", steps=(), control=(), line=Line())
    judged = replace(base, verdict=judge(base))
    source = tmp_path / "my run.jsonl"
    source.write_bytes(codec.encode(judged) + b"\n" + codec.encode(OK) + b"\n")
    assert [name for name, _ in from_records(source)] == ["speed/my_run_1"]
    assert not list(from_records(source, ["web"]))
    folder = tmp_path / "cases"
    done = CliRunner().invoke(main, [str(folder), "--records", str(source)])
    assert done.exit_code == 0, done.output
    assert "say in `shows`" in done.output
    written = folder / "speed" / "my_run_1.json"
    with pytest.raises(CaseError, match="in one sentence"):
        read(written)
    case = json.loads(written.read_text())
    case["shows"] = "Nothing was transferred, so there is no rate."
    written.write_text(text(replace(make(base), shows=case["shows"])))
    assert read(written).expect.rule == "speed.no_number"

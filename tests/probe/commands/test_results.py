import base64
import csv
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from probe import codec
from probe.commands.results import command
from probe.errors import Exit, UserError
from probe.model import Record
from probe.runner.results import Results
from tests.probe import sample


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "home"))
    results = Results(tmp_path / "home")
    for one in (
        sample.trusted(),
        sample.intercepted("aa"),
        sample.blocked(),
        sample.hostile(),
        sample.facts(),
    ):
        results.keep(one, codec.encode(one))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_list_counts_the_outcomes_of_each_run(home: Path) -> None:
    shown = run("list").output
    assert sample.RUN in shown
    assert "2 blocked" in shown
    assert "JSC Kazakhtelecom, AS9198, KZ" in shown
    assert json.loads(run("list", "--json").output)["outcomes"]["intercepted"] == 1


def test_without_results_a_hint_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    assert "begin with" in run("list").stderr


def test_show_explains_one_site_or_lists_one_run(home: Path) -> None:
    assert "goes silent" in run("show", "b.example").output
    whole = run("show", "last").output
    assert "https://b.example" in whole
    assert "tls.timeout" in whole
    assert "4 measured: 1 intercepted, 2 blocked, 1 ok" in whole


def test_show_alone_is_the_last_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("show").output == run("show", "last").output
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="begin with"):
        run("show")


def test_show_gives_the_record_itself(home: Path) -> None:
    line = run("show", sample.hostile().id, "--json").output
    assert codec.decode(line.strip().encode()) == sample.hostile()
    assert line.isascii()


def test_a_hostile_title_does_not_reach_the_terminal(home: Path) -> None:
    for arguments in (("show", "c.example"), ("show", "last"), ("list",)):
        shown = run(*arguments).output
        assert not set("\x1b\x9b\u202e") & set(shown)


def test_both_chains_of_an_interception_are_written(home: Path) -> None:
    files = [str(path) for path in Results(home / "home").files()]
    with Path(files[0]).open("ab") as file:  # the same site, seen untouched on another day
        file.write(codec.encode(sample.trusted("aa")) + b"\n")
    run("show", sample.intercepted("aa").id, "--pem", str(home / "certs"))
    forged = (home / "certs/untrusted-1.pem").read_text()
    true = (home / "certs/trusted-1.pem").read_text()
    assert base64.b64encode(sample.FORGED).decode() in forged
    assert base64.b64encode(sample.TRUE).decode() in true
    assert forged.startswith("# served for a.example by 192.0.2.1, record ")


def test_what_is_not_there_is_one_line(home: Path) -> None:
    with pytest.raises(UserError, match="no record"):
        run("show", "unknown.example")
    with pytest.raises(UserError, match="no such run"):
        run("export", "--run", "unknown")


def test_a_report_is_one_file(home: Path) -> None:
    assert run("report", "--html", str(home / "r.html")).exit_code == 0
    page = (home / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "2 blocked" in page


def keep(home: Path, *records: Record) -> None:
    results = Results(home / "home")
    for one in records:
        results.keep(one, codec.encode(one))


NEWER = "019aa9d9-1111-7000-8000-000000000000"


def test_a_report_is_of_the_last_run_or_since_a_date_in_a_language(home: Path) -> None:
    newer = msgspec.structs.replace(
        sample.blocked("zz"), run=NEWER, started_at="2026-12-01T00:00:00.000Z"
    )
    keep(home, newer)
    file = home / "r.html"

    def page(*words: str) -> str:
        assert run("report", "--html", str(file), *words).exit_code == 0
        return file.read_text()

    assert "zz.example" in page()
    assert "https://b.example" not in page()
    assert "https://b.example" in page("--run", sample.RUN)
    assert "zz.example" not in page("--run", sample.RUN)
    assert "c.example" in page("--since", "2026-11-01")
    assert "c.example" not in page("--since", "2026-11-25")
    assert "zz.example" in page("--since", "9999d")
    assert '<html lang="ru">' in page("--lang", "ru")
    assert '<html lang="en">' in page()
    assert "the page is empty" in run("report", "--html", str(file), "--since", "2999-01-01").stderr


@pytest.mark.parametrize("since", ["yesterday", "0d", "2026-13-01", "9" * 40 + "d"])
def test_a_wrong_since_is_one_line(home: Path, since: str) -> None:
    with pytest.raises(UserError, match="expected a date"):
        run("report", "--html", str(home / "r.html"), "--since", since)


def test_since_and_run_exclude_each_other(home: Path) -> None:
    with pytest.raises(UserError, match="choose one"):
        run("report", "--html", str(home / "r.html"), "--since", "1d", "--run", "last")


def test_show_names_what_other_experiments_saw_at_the_site(home: Path) -> None:
    other = msgspec.structs.replace(
        sample.record("b"), experiment="quic", id="019aa9d8-aaaa-7000-8000-000000000000"
    )
    keep(home, other)
    shown = run("show", "b.example").output
    assert "is blocked by the network" in shown
    assert "The same site in this run" in shown
    assert f"quic  ok  https://b.example/  {other.id}" in shown


def test_a_run_is_one_row_a_target(home: Path) -> None:
    keep(home, msgspec.structs.replace(sample.record("b"), experiment="quic"))
    shown = run("show", sample.RUN).output
    assert shown.count("https://b.example") == 1
    assert "web blocked · quic ok" in shown


def test_an_idn_is_found_and_shown_as_people_write_it(home: Path) -> None:
    keep(home, sample.record("y", url="http://xn--d1acpjx3f.xn--p1ai/"))
    for typed in ("http://яндекс.рф/", "яндекс.рф", "xn--d1acpjx3f.xn--p1ai"):
        assert run("show", typed).output.startswith("http://яндекс.рф/ works here")
    assert "http://яндекс.рф" in run("show", "last").output


def test_export_gives_whole_records_or_a_spreadsheet(home: Path) -> None:
    exported = run("export").stdout_bytes
    assert exported == b"".join(path.read_bytes() for path in Results(home / "home").files())
    out = home / "out.csv"
    run("export", "--format", "csv", "-o", str(out), "--outcome", "blocked", "--run", "last")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["input"] for row in rows] == ["https://b.example/", "http://c.example/"]
    assert rows[0]["mechanisms"] == "tls.timeout"
    assert rows[1]["reason"].startswith("'=HYPERLINK")


def test_any_file_of_records_can_be_read(home: Path) -> None:
    file = home / "received.jsonl"
    file.write_bytes(codec.encode(sample.blocked("zz")) + b"\n")
    assert "https://zz.example/" in run("show", "zz.example", "--file", str(file)).output


def test_a_file_without_records_is_named(home: Path) -> None:
    file = home / "passwords"
    file.write_text("root:x:0:0\n")
    assert f"{file}: no records" in run("list", "--file", str(file)).stderr


def test_a_run_without_results_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    file = tmp_path / "run.jsonl"
    empty = msgspec.structs.replace(
        sample.blocked("zz"), experiment="run", input="", verdict=None, steps=()
    )
    file.write_bytes(codec.encode(empty) + b"\n")
    said = run("show", empty.run, "--file", str(file))
    assert (said.stdout, said.stderr) == ("", "this run has no results\n")


def test_an_export_that_fails_leaves_the_file(home: Path) -> None:
    out = home / "mine.csv"
    out.write_text("mine")
    done = CliRunner().invoke(command, ["export", "--run", "no-such-run", "-o", str(out)])
    assert done.exit_code != 0
    assert out.read_text() == "mine"
    assert sorted(path.name for path in home.iterdir()) == ["home", "mine.csv"]


@pytest.mark.parametrize("what", ["export -o", "report --html"])
def test_a_file_that_cannot_be_written_is_named_as_the_user_named_it(home: Path, what: str) -> None:
    name, option = what.split()
    out = str(home / "none" / "file")
    done = CliRunner().invoke(command, [name, option, out])
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{option} {out}: No such file or directory"
    assert done.exception.code == Exit.USAGE


def test_an_export_may_replace_the_file_that_it_reads(tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    out.write_bytes(codec.encode(sample.blocked()) + b"\n")
    arguments = ["export", "--file", str(out), "-o", str(out)]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert out.read_bytes() == codec.encode(sample.blocked()) + b"\n"

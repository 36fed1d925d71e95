"""Lists of targets, good and bad, and what is known beforehand."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings, strategies as st

from probe import reference_data, targets
from probe.targets import (
    TargetError,
    TargetProblem,
    load,
    parse,
    parse_target,
    parse_url,
    slug,
)
from probe.urls import URL_LIMIT


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("HTTPS://Example.COM", "https://example.com/"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com.", "https://example.com/"),
        ("https://example.com/a#b", "https://example.com/a"),
        ("https://example.com?q=1", "https://example.com/?q=1"),
        ("https://example.com/a b?q=ы", "https://example.com/a%20b?q=%D1%8B"),
        ("https://example.com/%zz%41", "https://example.com/%25zz%41"),
        ("  https://example.com/ \r", "https://example.com/"),
        ("https://қазақстан.қаз/", "https://xn--80aaa0a6awh12ed.xn--80ao21a/"),
        ("https://Пример.РФ/", "https://xn--e1afmkfd.xn--p1ai/"),
        ("https://xn--e1afmkfd.xn--p1ai/", "https://xn--e1afmkfd.xn--p1ai/"),
        ("http://192.0.2.1", "http://192.0.2.1/"),
        ("http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_one_spelling_for_each_address(text: str, url: str) -> None:
    assert parse_url(text) == url
    assert parse_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "ftp://example.com/", "javascript:alert(1)", "http://", "https:///a",
        "http:/example.com", "http://user:pass@example.com/", "http://user@example.com/",
        "http://example.com:0/", "http://example.com:65536/", "http://example.com:x/",
        "http://example.com:٨٠/", "http://exa mple.com/", "http://example.com/\x00",
        "http://example.com/\n/x", "http://-a.example/", "http://a..example/", "http://.example/",
        "http://1.2.3/", "http://0x7f.0.0.1/", "http://127.1/", "http://0127.0.0.1/",
        "http://2130706433/", "http://[::1", "http://[fe80::1%25eth0]/", "http://[::1]x/",
        "http://[1.2.3.4]/", "http://exam\\ple.com/", "http://example.com\\@evil/",
        "http://" + "a" * 64 + ".example/", "http://" + "a." * 130 + "example/",
        "http://example.com/" + "a" * 3000, "http://\udcff.example/", "http://%65xample.com/",
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(TargetError) as refused:
        parse_url(text)
    message = str(refused.value)
    assert message
    assert message.isprintable()
    assert len(message) < 200


urlish = st.one_of(
    st.text(max_size=100),
    st.builds(
        lambda scheme, host, rest: f"{scheme}://{host}{rest}",
        st.sampled_from(["http", "https", "HTTP", "ftp"]),
        st.one_of(
            st.text(max_size=30),
            st.from_regex(r"[a-z0-9.\-:\[\]қ\uff11\uff0e]{1,20}", fullmatch=True),
        ),
        st.text(max_size=60),
    ),
)


@given(urlish)
@settings(max_examples=500, deadline=None)
def test_normalising_is_total_and_settles_at_once(text: str) -> None:
    try:
        url = parse_url(text)
    except TargetError:
        return
    assert parse_url(url) == url
    assert url.isascii()
    assert len(url) <= URL_LIMIT
    parts = urlsplit(url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert parts.path.startswith("/")
    assert not parts.fragment
    assert parts.username is None


def test_a_slug_is_the_host_and_the_path() -> None:
    assert slug("https://meduza.io/") == "meduza.io"
    assert slug("https://www.instagram.com/protenge.kz/") == "www.instagram.com/protenge.kz/"
    assert slug("http://example.com:8080/") == "example.com:8080"
    assert len(slug("https://example.com/" + "a" * 500)) == 100
    assert slug("https://e.com/" + "a" * 500) != slug("https://e.com/" + "a" * 501)


CSV = """\ufeffurl,category_code,category_description,date_added,source,notes\r
https://meduza.io/,NEWS,News Media,2019-01-01,citizenlab,"a note, quoted"\r
not a url,NEWS,News Media,2019-01-01,,\r
https://ok.ru/,GRP,Social Networking,2019-01-01,,\r
https://broken.example/,NEWS,"never closed,,\r
https://meduza.io,NEWS,,,,again\r
\r
https://odd.example/,News and so on,,,,\r
"""


def test_citizen_lab_s_list_is_read_as_it_is() -> None:
    found, problems = parse(CSV, "kz.csv")
    assert [target.url for target in found] == [
        "https://meduza.io/", "https://ok.ru/", "https://odd.example/",
    ]  # fmt: skip
    assert (found[0].category, found[0].line, found[0].note) == ("NEWS", 2, "a note, quoted")
    assert found[2].category is None
    assert [(problem.file, problem.line) for problem in problems] == [
        ("kz.csv", 3), ("kz.csv", 5), ("kz.csv", 8),
    ]  # fmt: skip
    assert str(problems[0]).startswith("kz.csv:3: ")


def test_our_own_format_survives_a_broken_table() -> None:
    text = """# mine
[[target]]
url = "https://a.example/"
category = "NEWS"
note = "why"

[[target]]
url = "https://b.example/

[[target]]
url = "https://c.example/"
colour = "red"

[[target]]
url = 5

[[target]]
category = "NEWS"

[[ target ]]
url = "https://d.example/"
"""
    found, problems = parse(text, "mine.toml")
    assert [target.url for target in found] == ["https://a.example/", "https://d.example/"]
    assert (found[0].category, found[0].note, found[0].line) == ("NEWS", "why", 2)
    assert [problem.line for problem in problems] == [7, 10, 14, 17]
    assert "colour" in problems[1].message


def test_a_broken_beginning_of_our_own_format_is_named() -> None:
    found, problems = parse('title = \n[[target]]\nurl = "https://a.example/"\n', "x")
    assert len(found) == 1
    assert problems[0].line == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[target]\nurl = "https://a.example/"\n', 1, "not TOML: "),
        ('title = "x"\n\n[target\nurl = "https://a.example/"\n', 3, "not TOML: "),
        ("https://a.example/\n", 1, "not TOML: "),
        ('[target]\nurl = "https://a.example/"\n', 1, "[[target]] tables"),
        ("", 1, "[[target]] tables"),
        ("a=" + "[" * 5000, 1, "not TOML: "),
        ("a=" + "1" * 5000, 1, "not TOML: "),
    ],
)
def test_a_broken_toml_is_no_list_of_bad_urls(text: str, line: int, said: str) -> None:
    found, problems = parse(text, "mine.TOML")
    assert found == ()
    assert [problem.line for problem in problems] == [line]
    assert said in problems[0].message
    assert "at line" not in problems[0].message


def test_the_line_of_a_broken_table_is_the_files() -> None:
    text = '# mine\n\n[[target]]\nurl = "https://a.example/"\nnote = why\n'
    (problem,) = parse(text, "mine.toml")[1]
    assert str(problem) == "mine.toml:3: not a TOML table: Invalid value (line 5)"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("meduza.io", "https://meduza.io/"),
        (" Meduza.IO/ru?x=1#y ", "https://meduza.io/ru?x=1"),
        ("meduza.io:8443/x", "https://meduza.io:8443/x"),
        ("пример.рф", "https://xn--e1afmkfd.xn--p1ai/"),
        ("1.1.1.1", "https://1.1.1.1/"),
        ("http://meduza.io", "http://meduza.io/"),
    ],
)
def test_a_bare_host_means_https(text: str, url: str) -> None:
    assert parse_target(text) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.1/", "http://127.0.0.1/", "http://10.0.0.1:8080/x", "http://[::1]/",
        "http://[::ffff:192.168.1.1]/", "http://[64:ff9b::c0a8:101]/", "http://[2002:c0a8:101::]/",
        "http://[fc00::1]/", "http://[fe80::1]/", "http://\uff11\uff19\uff12\uff0e168.1.1/", "http://169.254.169.254/",
        "http://router/", "https://localhost/", "http://router.lan/", "http://NAS.Local./",
        "http://x.internal/", "http://x.home.arpa/", "http://home.arpa/", "https://x.onion/",
        "http://a.localhost/", "192.168.1.1", "router.lan",
    ],
)  # fmt: skip
def test_private_hosts_are_for_laboratories_only(url: str) -> None:
    with pytest.raises(TargetError, match="public"):
        parse_target(url)
    assert parse_target(url, lab=True)
    found, problems = parse(f"https://a.example/\n{url}\n", "list.txt")
    assert [target.url for target in found] == ["https://a.example/"]
    assert [problem.line for problem in problems] == [2]
    assert len(parse(f"{url}\n", "list.txt", lab=True)[0]) == 1


@pytest.mark.parametrize(
    "text",
    [
        'url;category_code;notes\nhttps://a.example/;NEWS;"one;\ntwo"\nhttps://b.example/;GRP;\n',
        'sep=;\nurl;category_code;notes\nhttps://a.example/;NEWS;"one;\r\ntwo"\nb.example;GRP;\n',
        'url\tcategory_code\tnotes\nhttps://a.example/\tNEWS\t"one;\ntwo"\nb.example\tGRP\t\n',
        'https://a.example/,NEWS,News,2019-01-01,x,"one;\ntwo"\nhttps://b.example/,GRP,,,,\n',
        "a.example;NEWS;;;;one; two\n\n# b\nb.example;GRP\n",
    ],
)
def test_csv_as_spreadsheets_write_it(text: str) -> None:
    found, problems = parse(text, "list.csv")
    assert [target.url for target in found] == ["https://a.example/", "https://b.example/"]
    assert [target.category for target in found] == ["NEWS", "GRP"]
    assert found[0].note in {"one; two", "one"}
    assert found[1].line > found[0].line
    assert not problems


def test_a_url_with_a_separator_is_no_csv() -> None:
    text = "https://a.example/x,y\nhttps://b.example/x;y=1\n"
    found, problems = parse(text, "list.txt")
    assert [t.url for t in found] == ["https://a.example/x,y", "https://b.example/x;y=1"]
    assert not problems


@given(st.lists(st.sampled_from(['"', "https://a.example/", ",", "\n", "x", ";"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_an_unclosed_quotation_mark_takes_no_other_row(parts: list[str]) -> None:
    text = "url,category_code\n" + "".join(parts) + "\nhttps://last.example/,NEWS\n"
    assert "https://last.example/" in {target.url for target in parse(text, "x")[0]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
def test_files_in_the_encodings_of_windows(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    text = "url;category_code;notes\r\nhttps://пример.рф/;NEWS;Новости\r\n"
    path.write_bytes(text.encode(encoding))
    found, problems = load(str(path))
    assert [target.url for target in found] == ["https://xn--e1afmkfd.xn--p1ai/"]
    assert (found[0].category, found[0].note) == ("NEWS", "Новости")
    assert not problems


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04xx", b"<!doctype html>", b'{"a": 1}', b"\x7fELF\0\0\1"]
)
def test_a_file_that_is_no_list_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    with pytest.raises(TargetError, match=r"list\.csv: .*(expected|CSV)"):
        load(str(path))


def test_a_plain_list_with_comments() -> None:
    text = (
        "# sites\n\nhttps://a.example/ # why\nhttps://b.example/#x\nnonsense\nhttps://a.example\n"
    )
    found, problems = parse(text, "list.txt")
    assert [(target.url, target.line) for target in found] == [
        ("https://a.example/", 3), ("https://b.example/", 4),
    ]  # fmt: skip
    assert [problem.line for problem in problems] == [5]


@given(st.text(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    for head in ("", "url,category_code\n", "[[target]]\n"):
        found, problems = parse(head + text, "any")
        assert all(parse_url(target.url) == target.url for target in found)
        assert all(isinstance(problem, TargetProblem) for problem in problems)


def test_files_in_odd_encodings(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"https://a.example/\nhttps://\xff\xfe.example/\nhttps://b.example/\n")
    found, problems = load(str(path))
    assert [target.url for target in found] == ["https://a.example/", "https://b.example/"]
    assert [(problem.file, problem.line) for problem in problems] == [(str(path), 2)]
    assert "UTF-8" in problems[0].message
    path.write_bytes("https://қаз.example/\r\n".encode("utf-16"))
    assert [target.url for target in load(str(path))[0]] == ["https://xn--80ao21a.example/"]
    path.write_bytes(b"")
    assert load(str(path)) == ((), ())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for spec in (
        str(tmp_path),
        str(tmp_path / "absent.csv"),
        "nosuchlist",
        "https://x/",
        "a\0b",
        "",
    ):
        with pytest.raises(TargetError) as refused:
            load(spec)
        assert str(refused.value)
    with pytest.raises(TargetError, match="kz"):
        load("nosuchlist")


def test_a_bundled_name_comes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("kz", "mine"):
        Path(name).write_text("https://a.example/\n")
    assert len(load("kz")[0]) > 1
    assert len(load("./kz")[0]) == len(load("mine")[0]) == 1


def test_a_large_file_is_bounded_and_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.txt"
    path.write_text("".join(f"https://a{number}.example/\n" for number in range(20_000)))
    started = time.process_time()
    assert len(load(str(path))[0]) == 20_000
    assert time.process_time() - started < 3
    monkeypatch.setattr(targets, "TARGET_LIMIT", 10)
    found, problems = load(str(path))
    assert len(found) == 10
    assert "10" in problems[0].message
    monkeypatch.setattr(targets, "FILE_LIMIT", 1000)
    with pytest.raises(TargetError):
        load(str(path))


@pytest.mark.parametrize("name", ["kz", "global", "kz-optin", "vpn"])
def test_bundled_lists_have_no_problem(name: str) -> None:
    found, problems = load(name)
    assert found
    assert not problems
    assert all(target.category for target in found)
    assert len({slug(target.url) for target in found}) == len(found)


def test_the_kazakh_list_knows_what_it_is_for() -> None:
    purposes = {target.purpose for target in load("kz")[0]}
    assert purposes == {
        "mitm-candidate", "suspected", "throttle-candidate", "control-domestic",
        "control-international",
    }  # fmt: skip
    assert "https://www.google.com/" in {t.url for t in targets.candidates("mitm-candidate")}
    assert all(target.note for target in load("kz")[0])
    assert "https://www.kavkazcenter.com/" not in {target.url for target in load("kz")[0]}


def test_anchors_are_of_every_kind_and_normalised() -> None:
    anchors = targets.anchors()
    assert all(parse_url(anchor.url) == anchor.url for anchor in anchors)
    assert {(anchor.foreign, anchor.essential) for anchor in anchors} == {
        (True, False), (False, True), (False, False),
    }  # fmt: skip
    kinds = [(anchor.foreign, anchor.essential) for anchor in anchors]
    assert all(kinds.count(kind) == 5 for kind in set(kinds))


def test_resolvers_are_asked_in_the_clear_and_over_https() -> None:
    resolvers = targets.public_resolvers()
    assert {resolver.transport for resolver in resolvers} == {"udp", "doh"}
    assert all(r.name and r.port == 443 for r in resolvers if r.transport == "doh")
    assert len({resolver.address for resolver in resolvers}) >= 4


def test_networks_have_names() -> None:
    assert targets.networks()[9198] == "JSC Kazakhtelecom"
    assert any(network.hosting for network in reference_data.known_networks())
    assert not any(
        network.hosting for network in reference_data.known_networks() if network.asn == 9198
    )


def test_block_pages_match_any_case_but_not_news() -> None:
    pages = targets.blockpages()
    assert len({page.id for page in pages}) == len(pages)
    title = next(page for page in pages if page.id == "ru.page_blocked")
    assert title.found_in("  СТРАНИЦА\n  Заблокирована ")
    article = "<p>Суд признал законной блокировку сайта. Access denied, пишет издание.</p>"
    assert not any(page.found_in(article) for page in pages if page.where == "body")


def test_harmless_names_and_pairs() -> None:
    assert targets.harmless_names()
    assert reference_data.harmless_pairs()["www.azattyq.org"] == "i.pinimg.com"
    hosts = {urlsplit(target.url).hostname for target in load("kz")[0]}
    assert set(reference_data.harmless_pairs()) <= hosts

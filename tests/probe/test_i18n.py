"""Languages: which one is chosen, that no text lacks its translation, and that none is damaged."""

import ast
import json
import plistlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from probe import codec, i18n
from probe.command_line import COMMANDS
from probe.commands import results
from probe.judge import judge
from tools import catalogues
from tools.messages import MarkError, _marked, messages

ROOT = Path(__file__).parents[2]
LANGUAGES = catalogues.TRANSLATED


def test_each_context_may_speak_its_own_language() -> None:
    i18n.use("en")

    def spoken(code: str) -> str:
        with i18n.speaking(code):
            return f"{i18n.current()} {i18n._('no answer')}"

    with ThreadPoolExecutor(2) as threads, i18n.speaking("kk"):
        others = list(threads.map(spoken, ["ru", "en"] * 4))
        assert i18n.current() == "kk"
        assert i18n._("no answer") not in " ".join(others)
    assert set(others) == {spoken("ru"), "en no answer"}
    assert (i18n.current(), i18n._("no answer")) == ("en", "no answer")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "kk_KZ.UTF-8"}, "kk"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "kk_KZ"}, "kk"),
        ({"LANGUAGE": "de:ru:en", "LANG": "kk_KZ"}, "ru"),
        ({"LANGUAGE": "kk-Cyrl-KZ"}, "kk"),
        ({"LANG": "ru_RU", "LC_ALL": "C"}, "en"),
        ({"LANG": "ru_RU", "LC_ALL": ""}, "ru"),
        ({"LANG": "RU"}, "ru"),
        ({"LANG": "de_DE"}, "en"),
        ({"LANG": "../../etc"}, "en"),
    ],
)
def test_the_language_is_the_users(environ: dict[str, str], expected: str) -> None:
    assert i18n.language(None, environ) == expected
    assert i18n.language("ru", environ) == "ru"
    assert i18n.language("xx", environ) == expected


def test_where_the_environment_is_silent_the_system_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(i18n, "_of_the_system", lambda: ["de-DE", "ru-KZ"])
    assert i18n.language(None, {}) == "ru"
    assert i18n.language(None, {"LANG": "kk_KZ"}) == "kk"


def test_on_a_mac_the_languages_of_the_desktop_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert i18n.language(None, {}) == "en"
    preferences = tmp_path / "Library/Preferences/.GlobalPreferences.plist"
    preferences.parent.mkdir(parents=True)
    preferences.write_bytes(plistlib.dumps({"AppleLanguages": ["kk-KZ", "en-KZ"]}))
    assert i18n.language(None, {}) == "kk"
    preferences.write_bytes(b"broken")
    assert i18n.language(None, {}) == "en"


def test_the_configured_language_is_asked_for_once_and_late() -> None:
    asked: list[str] = []

    def chosen() -> str:
        asked.append("asked")
        return "ru"

    i18n.ask(chosen)
    assert asked == []
    assert i18n.current() == "ru"
    i18n._("Usage:")
    assert asked == ["asked"]


def test_an_unknown_language_and_an_unknown_text_stay_english() -> None:
    i18n.use("xx")
    assert i18n._("Usage:") == "Usage:"
    i18n.use("ru")
    assert i18n._("never marked") == "never marked"
    assert i18n._("") == ""
    assert i18n.ngettext("{n} one", "{n} many", 2) == "{n} many"


def test_a_broken_catalogue_leaves_the_program_english(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "locale/ru/LC_MESSAGES/qazprobe.mo"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\xde\x12\x04\x95" + b"\xff" * 40)
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    i18n.use("ru")
    assert i18n._("Usage:") == "Usage:"


def test_importing_reads_no_catalogue() -> None:
    code = "import probe.i18n as i; assert i._STATE.code is None"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)


# --- the catalogues -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LANGUAGES)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return catalogues.read(request.param)


def keys(catalog: Catalog) -> set[tuple[object, str | None]]:
    return {(one.id, one.context) for one in catalog if one.id}


def test_every_text_is_in_every_language(catalog: Catalog) -> None:
    wanted = keys(catalogues.template())
    assert wanted - keys(catalog) == set(), "run: make generated, then translate what is new"
    assert keys(catalog) - wanted == set(), "run: make generated"
    assert catalogues.missing(catalog) == []


def forms(one: Message) -> list[str]:
    """The translations of a text; none if it has none yet, which another test reports."""
    found = list(one.string) if isinstance(one.string, list | tuple) else [str(one.string)]
    return found if all(found) else []


def gaps(text: str) -> list[str]:
    return sorted(f"{name}!{how}:{spec}" for _, name, spec, how in Formatter().parse(text) if name)


def test_every_translation_has_the_gaps_of_its_text(catalog: Catalog) -> None:
    for one in catalog:
        if not one.id:
            continue
        texts = list(one.id) if isinstance(one.id, list | tuple) else [str(one.id)]
        for form in forms(one):  # none if it is not translated yet
            # A singular form may leave its number out, in the text and in the translation.
            assert set(gaps(form)) <= set().union(*map(gaps, texts)), one.id
            assert set(gaps(texts[0])) & set(gaps(texts[-1])) <= set(gaps(form)), one.id
        if isinstance(one.id, list | tuple) and forms(one):
            assert len(forms(one)) == catalog.num_plurals


def test_a_translation_keeps_the_frame_of_its_text(catalog: Catalog) -> None:
    for one in catalog:
        for form in forms(one)[:1] if one.id else ():
            text = str(one.id if isinstance(one.id, str) else one.id[0])
            assert form == form.rstrip() or text != text.rstrip(), one.id
            assert form.endswith("\n") == text.endswith("\n"), one.id
            assert form.count("\n\n") == text.count("\n\n"), one.id
            # A command in a text is typed as it stands.
            for command in re.findall(rf"qazprobe (?:{'|'.join(COMMANDS)})(?: --?[a-z-]+)*", text):
                assert command in form, one.id


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_compiled_file_is_the_text_file(code: str) -> None:
    compiled = vars(GNUTranslations(BytesIO(catalogues.path(code).with_suffix(".mo").read_bytes())))
    plain = vars(GNUTranslations(BytesIO(catalogues.as_mo(catalogues.read(code)))))
    for header in (compiled, plain):
        header["_catalog"].pop("")
    assert compiled["_catalog"] == plain["_catalog"], "run: make generated"


def test_no_f_string_is_marked() -> None:
    list(messages())
    with pytest.raises(MarkError):
        list(_marked(ast.parse('_(f"{x} things")'), "x.py"))


def test_no_variable_hides_the_translation() -> None:
    # In a function that has a variable `_`, `_("…")` calls that variable.
    hidden = []
    for path in sorted((ROOT / "probe").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "probe.i18n"
            for alias in node.names
        ]
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.Assign)]
        stored = [
            f"{path.relative_to(ROOT)}:{name.lineno}"
            for node in statements
            for target in ([node.target] if isinstance(node, ast.For) else node.targets)
            for name in ast.walk(target)
            if isinstance(name, ast.Name) and name.id == "_" and isinstance(name.ctx, ast.Store)
        ]
        hidden += stored if "_" in names else []
    assert hidden == []


# --- the reasons of verdicts ------------------------------------------------------------------


def reasons() -> set[str]:
    """What the rules say about every case of the collection."""
    found: set[str] = set()
    for path in sorted((ROOT / "tests/cases").rglob("*.json")):
        record = codec.decode(json.dumps(json.loads(path.read_text("utf-8"))["record"]).encode())
        found |= {hit.reason for hit in judge(record).rules}
    return found


# Small words that hardly any English sentence lacks.
ENGLISH = re.compile(r"\b(?:the|of|is|are|and|other|another|not|at|for|with|here|name|site)\b")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_reason_of_the_cases_is_translated_to_its_end(code: str) -> None:
    every = reasons()
    assert len(every) > 100
    i18n.use(code)
    shown = [re.sub(r"https?://\S+", "", i18n.reason(one)) for one in every]
    assert [one for one in shown if ENGLISH.search(one)] == []


def test_numbers_and_names_in_a_reason_stay() -> None:
    i18n.use("ru")
    said = i18n.reason("The certificate was signed with the known interception key {kz} 2019.")
    assert "{kz} 2019" in said
    assert said.startswith("Сертификат подписан")


COMPOSED = """
Its calls cannot be reached here, and the control reaches it. These parts answer: web.
До части «звонки» здесь не достучаться, а контрольная точка до неё доходит. Отвечают части: веб-версия.
TLS: reset before hop 4, in-path. DNS: silent between hop 2 and hop 3.
TLS: сброс до узла 4, на пути (in-path). DNS: молчание между узлами 2 и 3.
Only 2 of 3 pairs were comparable.
Сравнить удалось только 2 из 3 пар.
3 of 5 other hosts had the same outcome (dns) on this connection, so it is not about this site.
У 3 из 5 других хостов тот же результат (dns) на этом подключении, так что дело не в этом сайте.
"""


def test_the_parts_of_a_composed_reason_are_translated() -> None:
    i18n.use("ru")
    lines = COMPOSED.strip().splitlines()
    assert [i18n.reason(english) for english in lines[::2]] == lines[1::2]


def test_an_unknown_reason_and_english_stay() -> None:
    i18n.use("ru")
    # Of another release: some of its words look like a phrase of this one.
    unknown = "The site redirects to another site over plain http here, and not for the control."
    assert i18n.reason(unknown) == unknown
    assert i18n.reason("Something a later release says.") == "Something a later release says."
    i18n.use("en")
    assert i18n.reason("The names could not be compared.") == "The names could not be compared."


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--json"),
        ("show", "https://reset-on.org/", "--json"),
        ("export", "--format", "csv"),
        ("export", "--format", "jsonl"),
    ],
    ids=" ".join,
)
def test_what_scripts_read_is_the_same_in_every_language(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    case = json.loads((ROOT / "tests/cases/trace/on_path.json").read_text("utf-8"))["record"]
    record = codec.decode(json.dumps(case).encode())
    file = tmp_path / "records.jsonl"
    file.write_bytes(codec.encode(replace(record, verdict=judge(record))) + b"\n")
    said = []
    for code in i18n.LANGUAGES:
        i18n.use(code)
        done = CliRunner().invoke(results.command, [*arguments, "--file", str(file)])
        assert done.exit_code == 0, done.output
        said.append(done.stdout)
    assert "blocked" in said[0]
    assert said[1:] == said[:-1]


PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(sorted(reasons())),
    st.sampled_from([". ", "; ", ", ", ": ", " and ", " (", "{part}", "{", "}", "Its ", "1.5"]),
)


@settings(max_examples=300, deadline=2000)
@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(LANGUAGES))
def test_a_reason_never_fails_and_never_loses_what_it_does_not_know(text: str, code: str) -> None:
    i18n.use(code)
    token = "ZQX17"  # in no template: it is what a measurement put into the reason
    said = i18n.reason(text + token)
    assert said.count(token) == 1
    # Numbers are what was measured: all of them stay.
    assert sorted(re.findall(r"\d+", i18n.reason(text))) == sorted(re.findall(r"\d+", text))


def test_the_systems_reasons_are_translated_where_they_are_told() -> None:
    untranslated = re.compile(
        r"(?:\{|reason=|reason = )(?:error|os)\.strerror|= getattr\(\w+, .strerror"
    )
    folders = ("admin", "client", "commands", "heartbeat", "report", "runner")
    found = [
        f"{path.name}: {line.strip()}"
        for folder in folders
        for path in sorted((ROOT / "probe" / folder).glob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if untranslated.search(line)
    ]
    assert found == []

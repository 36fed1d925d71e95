from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from probe import i18n
from probe.failure import Failure
from probe.model import Dns, Mechanism, Outcome, Ping, Quic, Record, Stage, Transfer, TrustReason
from probe.report.explain import explain, headline, sentence
from probe.report.glossary import FAILURES, MECHANISMS, OUTCOMES, TRUST, amount, seconds
from probe.report.report import html
from tests.probe import sample


def text(record: Record) -> str:
    explanation = explain(record)
    return "\n".join(
        [explanation.headline, *(line for one in explanation.sections for line in one.lines)]
    )


def test_every_word_of_the_closed_lists_is_explained() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert set(MECHANISMS) == set(Mechanism)
    assert set(FAILURES) == set(Failure)
    assert set(TRUST) == set(TrustReason)


def test_an_interception_shows_the_forged_chain_next_to_the_true_one() -> None:
    said = text(sample.intercepted())
    assert "forged certificate" in said
    assert "Served here: not trusted: its issuer is unknown to browsers" in said
    assert "isca (interception authority, verified by its key)" in said
    assert "Served elsewhere (a control, 7 minutes before): trusted by browsers" in said
    assert sample.digest(sample.FORGED) in said
    assert sample.digest(sample.TRUE) in said


def test_a_block_is_explained_step_by_step() -> None:
    said = text(sample.blocked())
    assert "98% confidence, seen in one run so far" in headline(sample.blocked())
    assert (
        "goes silent for this name and answers for a harmless one. [sample.rule; steps 1, 2]"
        in said
    )
    assert (
        "TLS handshake with 192.0.2.2 for the name b.example: "
        "no answer in time after 3.0 s (0 bytes received)" in said
    )
    assert "with a harmless name, attempt 2" in said


def test_how_often_it_was_seen_is_said_of_interference_only() -> None:
    assert headline(sample.trusted()).endswith("(ok, 98% confidence).")
    blocked = sample.blocked()
    assert blocked.verdict is not None
    again = replace(blocked, verdict=replace(blocked.verdict, stage=Stage.CONFIRMED))
    assert "seen again in a later run" in headline(again)


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_an_explanation_is_complete_in_every_language(language: str) -> None:
    i18n.use(language)
    try:
        said = text(sample.intercepted())
    finally:
        i18n.use("en")
    assert sample.digest(sample.FORGED) in said
    assert "{" not in said


@pytest.mark.parametrize(
    ("transport", "shown"), [("udp", "UDP"), ("tcp", "TCP"), ("dot", "DoT"), ("doh", "DoH")]
)
def test_a_transport_of_names_is_written_as_in_the_standards(transport: str, shown: str) -> None:
    query = Dns(name="a.example", resolver="9.9.9.9", transport=transport)  # type: ignore[arg-type]
    assert sentence(query).startswith(f"asked 9.9.9.9 over {shown} for a.example (A): ")


def test_every_kind_of_step_has_a_sentence() -> None:
    steps = (
        Quic(address="192.0.2.1", port=443, sni=None),
        Transfer(address="192.0.2.1", port=443, sni=None, arm="A", pair=1, rate=16000.0),
        Ping(what="gateway"),
    )
    assert all(sentence(step) for step in steps)
    assert "no verdict" in text(sample.facts())


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.05, "50 ms"), (3.2, "3.2 s"), (420, "7 minutes"), (9000, "2 hours")],
)
def test_durations_are_readable(value: float, said: str) -> None:
    assert seconds(value) == said


def test_amounts_are_readable() -> None:
    assert [amount(n) for n in (0, 1500, 2.5e9)] == ["0 bytes", "1.5 kB", "2500.0 MB"]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_a_report_holds_everything_and_runs_nothing() -> None:
    page = html(
        (
            sample.intercepted(),
            sample.blocked(),
            sample.trusted(),
            sample.hostile(),
            sample.facts(),
        ),
        made="now",
    )
    seen = Tags()
    seen.feed(page)
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(seen.tags)
    assert not [
        name for name, _ in seen.attributes if name in {"src", "href"} or name.startswith("on")
    ]
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "1 intercepted, 2 blocked" in page
    assert page.index("a.example") < page.index("b.example")


def test_a_report_on_nothing_is_a_report() -> None:
    assert "No results" in html((), made="now")

from base64 import b64encode

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Http, Line, Record, Role, Step
from probe.reference_data import blockpages
from tests.build import (
    GOOD,
    HOST,
    OTHER,
    PLAIN,
    URL,
    again,
    control,
    dns,
    harmless,
    page,
    record,
    reference,
    tcp,
)
from tests.probe.rules.check import holds, verdict_on

RESET = Failure.RESET
THERE = control(dns(GOOD), tcp(port=80), page(PLAIN))
FAILED = (tcp(port=80), page(PLAIN, failure=RESET))
ANSWERED = (harmless(tcp(port=80)), harmless(page(PLAIN, status=404)))
ODD = "f0f0f0f0f0f0f0f0"
DEEP = f"http://{HOST}/banned"


def strange(**more: object) -> Http:
    return page(PLAIN, title="Доступ ограничен", fuzzy=ODD, **more)  # type: ignore[arg-type]


def away(to: str = "http://stop.example/") -> Http:
    return page(PLAIN, status=302, location=to)


def twice(step: Step, **more: object) -> Record:
    steps = (tcp(port=80), step)
    fields = {"url": PLAIN, "controls": (THERE,), **more}
    return record(dns(GOOD), *steps, *again(*steps), **fields)  # type: ignore[arg-type]


def twice_and_https(step: Step, **more: object) -> Record:
    """The page twice, and the host's own page over proven TLS."""
    fields = {"url": PLAIN, "controls": (THERE,), **more}
    return record(dns(GOOD), step, *again(step, page(URL)), **fields)  # type: ignore[arg-type]


LAW = next(b64encode(p.pattern.encode()).decode() for p in blockpages() if p.scope == "national")
LOOSE = page(PLAIN, status=302, headers={"location": "http://\ufffd/"}, received_bytes=0)
ACKNOWLEDGED = (tcp(port=80), page(PLAIN, failure=Failure.TIMEOUT, acknowledged=True))
MEASURED = (dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED)


def stranger(title: str = "Another server", **own: object) -> tuple[Step, ...]:
    """The host at an unrelated server, between two harmless ones."""
    fuzzy = ODD if title == "Another server" else "0f0f0f0f0f0f0f0f"
    mute = page(PLAIN, address=OTHER, host="h", status=404, title=title, fuzzy=fuzzy)
    around = harmless(mute)
    step = replace(page(PLAIN, address=OTHER, **own), role=Role.NEUTRAL)  # type: ignore[arg-type]
    return around, step, around


def stranger_page(seen: Http, around: Http | None = None) -> tuple[Step, ...]:
    """A page for the host at an unrelated server, between two for a harmless host."""
    usual = around or page(PLAIN, status=404, title="Another server", fuzzy=ODD)
    there = harmless(replace(usual, address=OTHER, host="h"))
    return there, replace(seen, address=OTHER, role=Role.NEUTRAL), there


NOTICE = page(PLAIN, title="Access is restricted", fuzzy="00000000ffffffff", sha256="notice")
NOTED = (dns(GOOD), NOTICE, *ANSWERED, *again(NOTICE), *ANSWERED)
LOST = (tcp(port=80), page(PLAIN, failure=Failure.TIMEOUT))

TABLE = {
    "fails for this host": (
        "http.fails_for_this_host",
        record(
            dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED, url=PLAIN, controls=(THERE,)
        ),
        True,
        "blocked http.reset 0.96 by http.fails_for_this_host",
    ),
    "fails for this host, and no other server was asked": (
        "http.fails_for_this_host",
        record(dns(GOOD), *FAILED, *ANSWERED, *again(*FAILED), *ANSWERED, url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "silent, but it confirmed the request": (
        "http.fails_for_this_host",
        record(dns(GOOD), *ACKNOWLEDGED, *ANSWERED, *again(*ACKNOWLEDGED), *ANSWERED, url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "fails at an unrelated server as well": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(failure=RESET), url=PLAIN),
        True,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "silent, confirmed the request, and so does another server of the same operator": (
        "http.fails_for_this_host",
        record(
            dns(GOOD),
            *ACKNOWLEDGED,
            *ANSWERED,
            *again(*ACKNOWLEDGED),
            *ANSWERED,
            *stranger("The site", failure=Failure.TIMEOUT),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "reset, and once silent: the reset was lost": (
        "http.fails_for_this_host",
        record(
            dns(GOOD),
            *LOST,
            *ANSWERED,
            *again(*FAILED),
            *ANSWERED,
            *stranger(failure=RESET),
            url=PLAIN,
        ),
        True,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "the same notice at an unrelated server": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE), url=PLAIN),
        True,
        "blocked http.blockpage 0.93 by http.same_notice_elsewhere",
    ),
    "its own page at another address": (
        "http.same_notice_elsewhere",
        record(
            dns(GOOD),
            page(PLAIN),
            *ANSWERED,
            *again(page(PLAIN)),
            *stranger_page(page(PLAIN)),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "the same notice for any host there": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE, around=NOTICE), url=PLAIN),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "the same notice at another server of the same operator": (
        "http.same_notice_elsewhere",
        record(*NOTED, *stranger_page(NOTICE, around=page(PLAIN, status=404)), url=PLAIN),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "sent away by an unrelated server too": (
        "http.same_notice_elsewhere",
        record(dns(GOOD), away(), *ANSWERED, *again(away()), *stranger_page(away()), url=PLAIN),
        True,
        "blocked http.redirected 0.93 by http.same_notice_elsewhere",
    ),
    "a refusal in known words, without a control": (
        "http.known_block_page",
        twice(page(PLAIN, title="Доступ ограничен", status=403), controls=()),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "known words, without a control": (
        "http.known_block_page",
        twice(page(PLAIN, title="Доступ ограничен"), controls=()),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "known words here, and not for the control: a site may speak by country": (
        "http.known_block_page",
        twice(page(PLAIN, title="Доступ ограничен", fuzzy=ODD, status=403)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "a country's own notice, without a control": (
        "http.known_block_page",
        twice(page(PLAIN, title=None, fuzzy=ODD, body=LAW), controls=()),
        True,
        "blocked http.blockpage 0.85 by http.known_block_page",
    ),
    "an article that quotes a country's notice, without a control": (
        "http.known_block_page",
        twice(page(PLAIN, title="Новости", fuzzy=ODD, body=LAW), controls=()),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "an unrelated server answers for this host": (
        "http.fails_for_this_host",
        record(*MEASURED, *stranger(status=404), url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "broken for all, it seems, but so is the host at an unrelated server": (
        "http.broken_everywhere",
        record(
            *MEASURED, *stranger(failure=RESET), url=PLAIN, controls=(control(dns(GOOD), *FAILED),)
        ),
        False,
        "blocked http.reset 0.94 by http.fails_for_this_host",
    ),
    "fails for any host": (
        "http.fails_for_this_host",
        record(dns(GOOD), *FAILED, *again(*FAILED), url=PLAIN),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "fails here only": (
        "http.fails_here_only",
        record(
            dns(GOOD),
            reference(tcp(OTHER)),
            *FAILED,
            *again(*FAILED),
            reference(tcp(OTHER)),
            url=PLAIN,
            controls=(THERE,),
        ),
        True,
        "blocked http.reset 0.81 by http.fails_here_only",
    ),
    "fails there too": (
        "http.fails_here_only",
        record(
            dns(GOOD),
            *FAILED,
            *again(*FAILED),
            url=PLAIN,
            controls=(control(dns(GOOD), *FAILED),),
        ),
        False,
        "down 0.846 by http.broken_everywhere",
    ),
    "no status line": (
        "http.page_without_a_status",
        twice(page(PLAIN, status=None, malformed=True)),
        True,
        "blocked http.injected 0.846 by http.page_without_a_status",
    ),
    "no status line there either": (
        "http.page_without_a_status",
        twice(
            page(PLAIN, status=None, malformed=True),
            controls=(control(page(PLAIN, status=None, malformed=True)),),
        ),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "redirected away, and not by its own https page": (
        "http.redirected_away",
        twice_and_https(away()),
        True,
        "blocked http.redirected 0.874 by http.redirected_away",
    ),
    "redirected away here only: a site may redirect a country": (
        "http.redirected_away",
        twice(away()),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected at random, elsewhere for the control": (
        "http.redirected_away",
        twice_and_https(away(), controls=(control(dns(GOOD), away("http://parked.example/")),)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected away by https as well": (
        "http.redirected_away",
        record(
            dns(GOOD),
            away(),
            *again(away(), page(URL, status=302, location="http://other.example/")),
            url=PLAIN,
            controls=(THERE,),
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected away, its https page is a server's default": (
        "http.redirected_away",
        record(
            dns(GOOD),
            away(),
            *again(away(), page(URL, title="Welcome to nginx!")),
            url=PLAIN,
            controls=(THERE,),
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected away as several unrelated sites are": (
        "http.redirected_away",
        twice(away(), line=Line(portal_hosts=3, portal_sign="to stop.example")),
        True,
        "blocked http.redirected 0.874 by http.redirected_away",
    ),
    "redirected nowhere, at an unrelated server too": (
        "http.same_notice_elsewhere",
        record(dns(GOOD), LOOSE, *ANSWERED, *again(LOOSE), *stranger_page(LOOSE), url=PLAIN),
        True,
        "blocked http.redirected 0.93 by http.same_notice_elsewhere",
    ),
    "redirected away for all": (
        "http.redirected_away",
        twice(away(), controls=(control(dns(GOOD), tcp(port=80), away()),)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected within the site": (
        "http.redirected_away",
        twice(away(f"https://www.{HOST}/")),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "redirected to its name in another country": (
        "http.redirected_away",
        twice(away(f"http://{HOST.partition('.')[0]}.co.kz/")),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "another page": (
        "http.another_page_here",
        twice_and_https(strange()),
        True,
        "blocked http.blockpage 0.93 by http.known_block_page",
    ),
    "another page, the server's own refusal": (
        "http.another_page_here",
        twice(page(PLAIN, status=403, title="Forbidden", fuzzy=ODD)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "another page, and the site's own words about blocking": (
        "http.another_page_here",
        twice(page(PLAIN, title="Not available in your country", fuzzy=ODD)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "a server's default page, for unrelated hosts": (
        "http.another_page_here",
        twice(
            page(PLAIN, title="Welcome to nginx!", fuzzy=ODD, sha256="note"),
            line=Line(portal_hosts=3, portal_sign="note"),
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "another page, and nothing in it about blocking": (
        "http.another_page_here",
        twice(page(PLAIN, title="Қош келдіңіз", fuzzy=ODD)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "another page, for unrelated hosts": (
        "http.another_page_here",
        twice(
            page(PLAIN, title="Note", fuzzy=ODD, sha256="note"),
            line=Line(portal_hosts=3, portal_sign="note"),
        ),
        True,
        "blocked http.blockpage 0.874 by http.another_page_here",
    ),
    "another page, and by https the one that the control sees": (
        "http.another_page_here",
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, title="Note", fuzzy=ODD),
            *again(tcp(port=80), page(PLAIN, title="Note", fuzzy=ODD)),
            page(URL),
            url=PLAIN,
            controls=(THERE,),
        ),
        True,
        "blocked http.blockpage 0.828 by http.another_page_here",
    ),
    "another page that links to the site": (
        "http.another_page_here",
        twice_and_https(strange(links=(f"kz.{HOST}",))),
        False,
        "blocked http.blockpage 0.93 by http.known_block_page",
    ),
    "another page against its own https page": (
        "http.another_page_here",
        record(
            dns(GOOD),
            tcp(port=80),
            strange(),
            *again(tcp(port=80), strange()),
            page(URL),
            url=PLAIN,
        ),
        True,
        "blocked http.blockpage 0.93 by http.known_block_page",
    ),
    "the same page with another clock on it": (
        "http.another_page_here",
        twice(page(PLAIN, fuzzy="0f0f0f0f0f0f0f0e")),
        False,
        "ok 0.846 by ok.as_the_control_sees_it",
    ),
    "a known block page": (
        "http.known_block_page",
        twice_and_https(page(PLAIN, title="Страница заблокирована", fuzzy=ODD)),
        True,
        "blocked http.blockpage 0.93 by http.known_block_page",
    ),
    "a page about blocking, for all": (
        "http.known_block_page",
        twice(
            page(PLAIN, title="Страница заблокирована"),
            controls=(control(page(PLAIN, title="Страница заблокирована")),),
        ),
        False,
        "ok 0.846 by ok.as_the_control_sees_it",
    ),
    "a page about blocking, by its own https as well": (
        "http.known_block_page",
        record(
            dns(GOOD),
            page(PLAIN, title="Страница заблокирована"),
            *again(page(PLAIN, title="Страница заблокирована")),
            page(URL, title="Страница заблокирована"),
            url=PLAIN,
        ),
        False,
        "ok 0.88 by ok.as_its_own_https_page",
    ),
    "one page of the site": (
        "http.one_page_of_the_site",
        record(
            dns(GOOD),
            tcp(port=80),
            page(DEEP, failure=RESET),
            harmless(page(PLAIN)),
            *again(tcp(port=80), page(DEEP, failure=RESET)),
            url=DEEP,
        ),
        True,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "the whole site": (
        "http.one_page_of_the_site",
        record(
            dns(GOOD),
            tcp(port=80),
            page(DEEP, failure=RESET),
            harmless(page(PLAIN, failure=RESET)),
            *again(tcp(port=80), page(DEEP, failure=RESET)),
            url=DEEP,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict

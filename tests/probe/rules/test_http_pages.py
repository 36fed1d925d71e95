from base64 import b64encode

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Http, Line, Record, Role, Step
from probe.reference_data import blockpages
from tests.build import (
    GOOD,
    HARMLESS,
    HOST,
    PLAIN,
    URL,
    again,
    at_unrelated,
    control,
    dns,
    harmless,
    page,
    record,
    tcp,
)
from tests.probe.rules.check import holds, verdict_on

RESET = Failure.RESET
THERE = control(dns(GOOD), tcp(port=80), page(PLAIN))
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


def twice_and_https(step: Step, *elsewhere: Step, **more: object) -> Record:
    """The page twice, the host's own page over proven TLS, and what an unrelated server shows."""
    fields = {"url": PLAIN, "controls": (THERE,), **more}
    steps = (step, *again(step, page(URL)), *map(at_unrelated, elsewhere or (step,)))
    return record(dns(GOOD), *steps, **fields)  # type: ignore[arg-type]


def unseen(step: Step, **more: object) -> Record:
    """The page twice, and the host's own page; no unrelated server was offered the host."""
    fields = {"url": PLAIN, "controls": (THERE,), **more}
    return record(dns(GOOD), step, *again(step, page(URL)), **fields)  # type: ignore[arg-type]


OPEN = "inconclusive 0.5 by verdict.not_excluded"


LAW = next(b64encode(p.pattern.encode()).decode() for p in blockpages() if p.scope == "national")


TABLE = {
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
    "no status line": (
        "http.page_without_a_status",
        twice_and_https(page(PLAIN, status=None, malformed=True)),
        True,
        "blocked http.injected 0.846 by http.page_without_a_status",
    ),
    "no status line, which may be its server's own fault": (
        "http.page_without_a_status",
        twice(page(PLAIN, status=None, malformed=True)),
        True,
        OPEN,
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
    "redirected away, and an unrelated server does not redirect the host": (
        "http.redirected_away",
        twice_and_https(away(), page(PLAIN, status=404)),
        True,
        OPEN,
    ),
    "redirected away over plain http alone, by its own server perhaps": (
        "http.redirected_away",
        unseen(away()),
        True,
        OPEN,
    ),
    "redirected away, while a harmless host gets the site's own page there": (
        "http.redirected_away",
        record(
            dns(GOOD),
            away(),
            *again(away(), page(URL)),
            harmless(page(PLAIN, host=HARMLESS)),
            url=PLAIN,
        ),
        True,
        "blocked http.redirected 0.902 by http.redirected_away",
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
    "an article about blocking over plain http, another page by https": (
        "http.another_page_here",
        unseen(strange(), controls=()),
        True,
        OPEN,
    ),
    "words about blocking that an unrelated server does not show": (
        "http.another_page_here",
        twice_and_https(strange(), page(PLAIN, status=404, title="404 Not Found")),
        True,
        OPEN,
    ),
    "a page that an unrelated server shows for every host": (
        "http.another_page_here",
        record(
            dns(GOOD),
            strange(),
            *again(strange(), page(URL)),
            at_unrelated(strange()),
            replace(at_unrelated(strange()), role=Role.HARMLESS, host=HARMLESS),
            url=PLAIN,
            controls=(THERE,),
        ),
        True,
        OPEN,
    ),
    "one hoster's page for two closed sites": (
        "http.another_page_here",
        unseen(
            page(PLAIN, title="Account suspended", fuzzy=ODD, sha256="note"),
            line=Line(portal_hosts=2, portal_sign="note"),
        ),
        True,
        OPEN,
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
        twice_and_https(page(PLAIN, title="Note", fuzzy=ODD)),
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
            at_unrelated(strange()),
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
    "a known phrase on the site's own page over plain http": (
        "http.known_block_page",
        unseen(page(PLAIN, title="Страница заблокирована", fuzzy=ODD), controls=()),
        True,
        OPEN,
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

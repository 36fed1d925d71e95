"""The page of an address that the system's resolver alone gives; `test_web.py` has the rest."""

import asyncio

import pytest

from probe.experiments.browse import UrlHop
from probe.experiments.doubtful_address import fetch_plain_page
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Http, Step
from tests.build import GOOD, HOST, OTHER, PLAIN, SINK, URL, dns, doh, page, tcp
from tests.fake_net import FakeNet

SILENT = tcp(SINK, failure=Failure.TIMEOUT)


def fetched_from(url: str, *seen: Step) -> list[str]:
    log = StepLog()
    for step in seen:
        log.add(step)
    asyncio.run(fetch_plain_page(FakeNet(), log, UrlHop(url)))
    return [s.address for s in log.steps if isinstance(s, Http) and s.port == 80]


@pytest.mark.parametrize(
    ("url", "seen", "addresses"),
    [
        (URL, (dns(SINK), doh(GOOD), SILENT), [SINK]),
        (URL, (dns(SINK, OTHER), doh(GOOD), SILENT), [SINK]),
        (URL, (dns(SINK), doh(SINK), SILENT), []),
        (URL, (dns(SINK), SILENT), []),
        (URL, (doh(GOOD),), []),
        (URL, (dns(SINK), doh(GOOD), page(address=SINK, proven=False)), []),
        (PLAIN, (dns(SINK), doh(GOOD), SILENT), []),
        (f"https://{HOST}:8443/", (dns(SINK), doh(GOOD), SILENT), []),
    ],
)
def test_it_is_fetched_once_where_only_the_page_is_missing(
    url: str, seen: tuple[Step, ...], addresses: list[str]
) -> None:
    assert fetched_from(url, *seen) == addresses

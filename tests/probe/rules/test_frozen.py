"""Pages that freeze at one size: accused only where the page comes whole by another way."""

from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Http, Record, Step
from tests.build import (
    GOOD,
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
    tls,
)
from tests.probe.rules.check import holds, verdict_on

WHOLE = page(received_bytes=40_000)
UNDER_ANOTHER_NAME = (harmless(tcp()), harmless(tls()), replace(harmless(WHOLE), proven=False))
ALIVE = (reference(tcp(OTHER)), reference(tls(OTHER, sni="works.example")))


def frozen(size: int = 11_855, url: str = URL) -> Http:
    """A page of which so many bytes came before it fell silent."""
    stalled = page(url, failure=Failure.TIMEOUT)
    return replace(stalled, status=200, received_bytes=size - 1800, bytes_in=size)


def seen(*sizes: int, more: tuple[Step, ...] = (), control_page: Http | None = None) -> Record:
    steps: list[Step] = [dns(GOOD)]
    for number, size in enumerate(sizes, start=1):
        tried = (tcp(), tls(), frozen(size))
        steps += [replace(step, try_=number) for step in tried]
        steps += ALIVE
    there = (
        () if control_page is None else (control(dns(GOOD), tcp(), tls(), control_page, age=60),)
    )
    return record(*steps, *more, *ALIVE, controls=there)


def test_more_of_the_page_under_another_name() -> None:
    verdict = "throttled throttle.frozen 0.88 by frozen.this_name_only"
    assert verdict_on(seen(11_855, 11_855, more=UNDER_ANOTHER_NAME)) == verdict
    assert verdict_on(seen(31_000, 29_552, more=UNDER_ANOTHER_NAME)) == verdict


def test_more_of_the_page_for_a_control() -> None:
    verdict = "throttled throttle.frozen 0.85 by frozen.here_only"
    assert verdict_on(seen(11_855, 11_855, control_page=WHOLE)) == verdict


def test_a_control_that_read_no_further_proves_nothing() -> None:
    assert not holds("frozen.here_only", seen(32_000, 32_000, control_page=page()))


def test_a_control_at_another_address_proves_nothing() -> None:
    elsewhere = replace(WHOLE, address=OTHER)
    assert not holds("frozen.here_only", seen(11_855, 11_855, control_page=elsewhere))


def test_sizes_that_differ_are_a_poor_line() -> None:
    assert not holds("frozen.this_name_only", seen(6_000, 14_000, more=UNDER_ANOTHER_NAME))


def test_one_freeze_proves_nothing() -> None:
    assert not holds("frozen.this_name_only", seen(11_855, more=UNDER_ANOTHER_NAME))


def test_a_page_that_came_once_is_not_frozen() -> None:
    made = seen(11_855, 11_855, more=(tcp(), tls(), WHOLE, *UNDER_ANOTHER_NAME))
    assert verdict_on(made).startswith("ok 0.99")


def test_a_freeze_under_every_name_is_not_about_this_one() -> None:
    same = (harmless(tcp()), harmless(tls()), replace(harmless(frozen()), proven=False))
    assert verdict_on(seen(11_855, 11_855, more=same)) == "inconclusive 0.6 by unclear.slow"


def test_a_plain_page_is_compared_with_its_own_page_over_https() -> None:
    plain = (tcp(port=80), frozen(url=PLAIN))
    own = (tcp(), tls(), WHOLE)
    made = record(dns(GOOD), *plain, *ALIVE, *again(*plain), *ALIVE, *own, *ALIVE, url=PLAIN)
    assert verdict_on(made) == "throttled throttle.frozen 0.88 by frozen.this_name_only"
    other = replace(harmless(page(PLAIN, received_bytes=40_000)), host="www.harmless.example")
    unlike = record(dns(GOOD), *plain, *ALIVE, *again(*plain), other, *ALIVE, url=PLAIN)
    assert not holds("frozen.this_name_only", unlike)

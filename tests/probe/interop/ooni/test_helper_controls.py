"""A test helper of OONI's as control: what is asked, what is made of it, and what it proves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from probe import paths
from probe.admin.question import accept_risks
from probe.api_types import RecheckTarget
from probe.client import context, endpoint
from probe.config import Settings
from probe.errors import UserError
from probe.failure import Failure
from probe.interop.ooni import helper_controls
from probe.interop.ooni.helper_controls import HelperControls, control_of
from probe.judge import judge
from probe.model import (
    Control,
    Dns,
    Http,
    Line,
    Mechanism,
    Outcome,
    Record,
    Reply,
    Role,
    Step,
    Tcp,
    Tls,
    Trust,
    Vantage,
)
from probe.report import risk_notice
from probe.runner import dry_run, wiring
from probe.runner.jobs import JobList

URL = "https://site.example/"
HERE, THERE = "93.184.216.34", "151.101.1.69"
VALID = Trust(valid=True, anchored=True, named=True, issuer_key="root", leaf_key="leaf")


def said(*addresses: str, **changes: Any) -> dict[str, Any]:
    """The answer of a helper for which everything works at these addresses."""
    ends = [f"{address}:443" for address in addresses or (HERE,)]
    fine = {"status": True, "failure": None}
    page = {"body_length": 1000, "discovered_h3_endpoint": "", "failure": None, "title": "Site"}
    page |= {"headers": {"Server": "x"}, "status_code": 200}
    found = {
        "tcp_connect": dict.fromkeys(ends, fine),
        "tls_handshake": {one: {"server_name": "site.example", **fine} for one in ends},
        "quic_handshake": {},
        "http_request": page,
        "http3_request": None,
        "dns": {"failure": None, "addrs": list(addresses or (HERE,))},
        "ip_info": {},
    }
    return {**found, **changes}


def control(answer: dict[str, Any]) -> Control:
    found = control_of(json.dumps(answer).encode(), URL)
    assert found is not None
    return found


class FakeHelper:
    """A helper on loopback that notes what it is asked."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.most = self._now = 0

    async def handle(self, request: web.Request) -> web.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        self.paths.append(request.path)
        self.asked.append(await request.json())
        await asyncio.sleep(0.01)
        self._now -= 1
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return web.Response(body=body, status=self.status, content_type="application/json")

    @asynccontextmanager
    async def serving(self, path: str = "/") -> AsyncIterator[HelperControls]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        where = endpoint.parse(f"http://127.0.0.1:{runner.addresses[0][1]}{path}")
        try:
            async with HelperControls(where, lab=False) as controls:
                yield controls
        finally:
            await runner.cleanup()


def asks(*urls: str, addresses: tuple[str, ...] = (HERE,)) -> list[RecheckTarget]:
    return [RecheckTarget(input=url, addresses=addresses) for url in urls]


def test_it_is_asked_only_about_what_failed_and_told_no_private_address() -> None:
    helper = FakeHelper(said())

    async def scenario() -> None:
        async with helper.serving() as controls:
            assert await controls.controls([URL]) == {}
            assert helper.asked == []
            given = (HERE, "192.168.1.1", "10.7.7.7", "::1", "fe80::1%eth0", "2606:4700::1111")
            found = await controls.recheck(asks(URL, addresses=given))
            assert controls.answered
            assert set(found) == {URL}
        (question,) = helper.asked
        assert set(question) == {
            "http_request",
            "http_request_headers",
            "tcp_connect",
            "x_quic_enabled",
        }
        assert question["http_request"] == URL
        assert question["tcp_connect"] == [f"{HERE}:443", "[2606:4700::1111]:443"]
        assert question["x_quic_enabled"] is False
        assert set(question["http_request_headers"]) == {"Accept", "Accept-Language", "User-Agent"}

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/", "/ooni/helper"])
def test_it_is_asked_at_the_path_that_was_given(path: str) -> None:
    helper = FakeHelper(said())

    async def scenario() -> None:
        async with helper.serving(path) as controls:
            await controls.recheck(asks(URL))

    asyncio.run(scenario())
    assert helper.paths == [path]


def test_few_questions_are_asked_at_once() -> None:
    helper = FakeHelper(said())

    async def scenario() -> None:
        async with helper.serving() as controls:
            urls = [f"https://site{n}.example/" for n in range(30)]
            assert len(await controls.recheck(asks(*urls))) == len(urls)

    asyncio.run(scenario())
    assert helper.most <= helper_controls.PARALLEL


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (said(), 503),
        (said(), 204),
        (b"", 200),
        (b"null", 200),
        (b"[" * 100_000, 200),
        ({}, 200),
        ({"dns": 7, "tcp_connect": [], "tls_handshake": "x", "http_request": None}, 200),
        (b'{"dns": {"failure": null, "addrs": ["' + b"x" * 300_000 + b'"]}}', 200),
    ],
)
def test_what_is_no_answer_is_no_control(answer: Any, status: int) -> None:
    helper = FakeHelper(answer, status)

    async def scenario() -> None:
        async with helper.serving() as controls:
            assert await controls.recheck(asks(URL)) == {}

    asyncio.run(scenario())


def test_a_helper_that_is_not_there_costs_a_moment_and_no_error() -> None:
    async def scenario() -> None:
        async with HelperControls(endpoint.parse("http://127.0.0.1:1/"), lab=False) as controls:
            assert await controls.recheck(asks(URL)) == {}
            assert not controls.answered
            assert controls.problems

    asyncio.run(scenario())


def test_an_answer_becomes_steps_without_times_and_nothing_that_it_does_not_say() -> None:
    found = control(said(HERE, quic_handshake={}, tls_handshake={}))
    assert {type(step) for step in found.steps} == {Dns, Tcp, Http}
    assert all(step.elapsed == 0.0 for step in found.steps)
    assert found.certs == {}
    (page,) = [step for step in found.steps if isinstance(step, Http)]
    assert (page.sha256, page.fuzzy, page.body) == (None, None, None)


# --- what it proves --------------------------------------------------------------------------


def steps(address: str = HERE, failure: Failure | None = None) -> tuple[Step, ...]:
    """A lookup, a connection and a handshake here, the last perhaps twice in vain."""
    reply = Reply(at=0.01, rcode=0, answers=(address,), ttl=(60,))
    made: list[Step] = [
        Dns(
            id=1, name="site.example", resolver="system", replies=(reply,), elapsed=0.02, limit=3.0
        ),
        Tcp(id=2, parent=1, address=address, port=443, elapsed=0.05, limit=3.0),
    ]
    if failure is None:
        made.append(
            Tls(
                id=3, parent=2, address=address, port=443, sni="site.example", bytes_out=517,
                bytes_in=4000, trust=VALID, elapsed=0.1,
            )
        )  # fmt: skip
        made.append(
            Http(
                id=4, parent=3, url=URL, address=address, port=443, host="site.example",
                proven=True, status=200, complete=True, received_bytes=100, bytes_in=300,
                title="Site",
            )
        )  # fmt: skip
        return tuple(made)
    made += [
        Tls(
            id=10 * number, parent=2, address=address, port=443, sni="site.example", try_=number,
            failure=failure, bytes_out=517, elapsed=3.0, limit=3.0, at=float(number),
        )
        for number in (1, 2)
    ]  # fmt: skip
    return tuple(made)


def judged(*made: Step, by: dict[str, Any] | None) -> tuple[Outcome, tuple[Mechanism, ...]]:
    record = Record(
        id="00000000-0000-7000-8000-000000000001",
        run="00000000-0000-7000-8000-000000000002",
        experiment="web",
        input=URL,
        started_at="2026-11-30T10:00:00.000Z",
        elapsed=10.0,
        vantage=Vantage(country="KZ", asn=9198),
        steps=made,
        line=Line(alive_before=True, alive_after=True, references=2),
        control=() if by is None else (control(by),),
    )
    verdict = judge(record)
    return verdict.outcome, tuple(verdict.mechanisms)


def test_other_addresses_of_a_large_site_are_no_accusation() -> None:
    assert judged(*steps(HERE), by=said(THERE))[0] is Outcome.OK


def test_a_failure_at_an_address_that_the_helper_did_not_try_rests_on_our_own_evidence() -> None:
    alone = judged(*steps(HERE, Failure.TIMEOUT), by=None)
    beside = judged(*steps(HERE, Failure.TIMEOUT), by=said(THERE, tcp_connect={}, tls_handshake={}))
    assert beside[0] in {alone[0], Outcome.INCONCLUSIVE}
    assert alone[0] is Outcome.INCONCLUSIVE


def test_what_fails_for_the_helper_too_is_no_interference() -> None:
    late = {"status": False, "failure": "generic_timeout_error"}
    dead = said(HERE, tls_handshake={f"{HERE}:443": {"server_name": "site.example", **late}})
    dead["http_request"] = {**dead["http_request"], "failure": "generic_timeout_error"}
    dead["http_request"] |= {"status_code": -1, "body_length": -1, "title": "", "headers": {}}
    outcome, mechanisms = judged(*steps(HERE, Failure.TIMEOUT), by=dead)
    assert outcome not in {Outcome.BLOCKED, Outcome.INTERCEPTED}
    assert mechanisms == ()


def test_a_handshake_that_fails_twice_here_and_works_there_is_blocked() -> None:
    harmless = Tls(
        id=30, parent=2, role=Role.HARMLESS, address=HERE, port=443, sni="harmless.example",
        bytes_out=517, bytes_in=4000, trust=VALID, elapsed=0.1, at=8.0,
    )  # fmt: skip
    outcome, mechanisms = judged(*steps(HERE, Failure.TIMEOUT), harmless, by=said(HERE))
    assert outcome is Outcome.BLOCKED
    assert mechanisms == (Mechanism.TLS_TIMEOUT,)


def test_a_page_that_differs_from_what_the_helper_got_is_no_accusation() -> None:
    other = said(HERE)
    other["http_request"] = {**other["http_request"], "title": "Другое", "status_code": 403}
    assert judged(*steps(HERE), by=other)[0] is Outcome.OK
    *before, page = steps(HERE)
    assert isinstance(page, Http)
    plain = replace(page, proven=False, title="Ours", received_bytes=200, fuzzy="0" * 16)
    outcome, _ = judged(*before, plain, by=other)
    assert outcome not in {Outcome.BLOCKED, Outcome.INTERCEPTED}


# --- consent ---------------------------------------------------------------------------------


def test_the_volunteer_is_told_what_a_helper_sees_and_has_to_accept_it(tmp_path: Path) -> None:
    settings = Settings(control="ooni:https://helper.example/", language="en")
    assert risk_notice.of_run(settings) == (risk_notice.HELPER,)
    assert risk_notice.of_run(replace_control(None)) == ()
    assert risk_notice.of_run(replace_control("https://collector.example/")) == ()
    from probe import consent_record

    home = paths.Home(tmp_path, tmp_path)
    with pytest.raises(UserError, match="sees the address of your line"):
        accept_risks((risk_notice.HELPER,), settings, home, consent_record.new("en"))


def replace_control(control_: str | None) -> Settings:
    return Settings(control=control_)


def test_a_run_asks_the_helper_and_a_dry_run_says_what_it_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(control="ooni:https://helper.example/", resolvers=("none",))

    async def scenario() -> None:
        async with wiring.run_dependencies(context.assemble(settings, tmp_path)) as found:
            assert isinstance(found.controls, wiring.CollectorControls)
            assert isinstance(found.controls.control, HelperControls)

    asyncio.run(scenario())
    dry_run.print_contacts(settings, JobList(()))
    lines = capsys.readouterr().out.splitlines()
    assert "control ooni:https://helper.example/" in lines
    assert any(line.startswith("control (sees the address of this line") for line in lines)


def test_the_helper_takes_the_place_of_collectors_and_needs_a_usable_address(
    tmp_path: Path,
) -> None:
    one = context.assemble(Settings(control="ooni:https://helper.example/x"), tmp_path)
    assert one.controls == ()
    assert one.helper is not None
    assert one.helper.url == "https://helper.example/x"
    with pytest.raises(UserError, match="plain http"):
        context.assemble(Settings(control="ooni:http://helper.example/"), tmp_path)
    with pytest.raises(UserError):
        context.assemble(Settings(control="ooni:"), tmp_path)
    control_ = context.assemble(
        Settings(control="ooni:https://h.example/", role="control"), tmp_path
    )
    assert control_.helper is None

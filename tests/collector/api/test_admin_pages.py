"""The operator's pages: who sees them, what they show; only their own forms do anything."""

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from collector.admin import setting_aside
from collector.serve import _has_pages
from collector.settings import Address, SocketFile
from collector.store import Operation, exclusions, keys, measurements, open_store
from collector.store.interface import Execute
from collector.store.keys import Key
from collector.web import rendering
from probe.model import Mechanism, Outcome
from tests.collector.admin.test_retention import row
from tests.collector.harness import Answer, CollectorHarness, collector, record, select, settings

TOKEN = "0123456789abcdef0123456789abcdef"
FREE = Address("127.0.0.1", 0)
DAY = 86_400
BASIC = base64.b64encode(f"operator:{TOKEN}".encode()).decode()
OWN = {"Authorization": f"Basic {BASIC}"}
FORM = "application/x-www-form-urlencoded"
BAD = {"outcome": Outcome.BLOCKED, "mechanisms": (Mechanism.TLS_RESET,)}


class Operator:
    """A browser of the operator's."""

    def __init__(self, harness: CollectorHarness, session: aiohttp.ClientSession) -> None:
        self.harness = harness
        self._session = session
        self._url = harness.running.admin or ""

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        options = {"headers": OWN, "allow_redirects": False, **options}
        async with self._session.request(method, self._url + path, **options) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def page(self, path: str) -> str:
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    async def proof(self) -> str:
        """What the forms of this collector contain."""
        rows = await self.harness.service.store.read(select("key_overview"))
        page = await self.page(f"/admin/keys?find={rows[0][0]}")
        found = re.search(r'name="proof" value="(\w+)"', page)
        assert found is not None
        return found[1]

    async def post(self, path: str, **fields: str) -> Answer:
        return await self.ask("POST", path, data={"proof": await self.proof(), **fields})


@asynccontextmanager
async def operating(folder: Path, **changes: Any) -> AsyncIterator[Operator]:
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    made = {"admin": FREE, "operator_token_file": token, **changes}
    async with collector(folder, **made) as harness, aiohttp.ClientSession() as session:
        yield Operator(harness, session)


def test_only_who_bears_the_token_sees_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with operating(tmp_path) as operator:
            wrong = base64.b64encode(b"operator:" + b"0" * 32).decode()
            for given in (
                {},
                {"Authorization": f"Basic {wrong}"},
                {"Authorization": "Basic ???"},
                {"Authorization": f"Bearer {'0' * 32}"},
                {"Authorization": f"Digest {TOKEN}"},
                {"Authorization": f"Bearer {'x' * 4000}"},
            ):
                for method, path in (
                    ("GET", "/admin"),
                    ("GET", "/admin/keys"),
                    ("POST", "/admin/exclude"),
                    ("POST", "/admin/include"),
                ):
                    reply = await operator.ask(method, path, headers=given)
                    assert (reply.status, path) == (401, path)
                    assert reply.headers["WWW-Authenticate"].startswith("Basic ")
            for given in (OWN, {"Authorization": f"Bearer {TOKEN}"}):
                assert (await operator.ask("GET", "/admin", headers=given)).status == 200
            # Metrics and health need none, and probes find no such page.
            assert (await operator.ask("GET", "/healthz", headers={})).status == 200
            for path in ("/admin", "/admin/keys"):
                assert (await operator.harness.ask("GET", path, headers=OWN)).status == 404
        async with operating(tmp_path, operator_token_file=None) as operator:
            reply = await operator.ask("GET", "/admin")
            assert (reply.status, "--operator-token-file" in reply.data["error"]) == (403, True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("address", "changes", "there"),
    [
        (Address("127.0.0.1", 9101), {}, True),
        (Address("::1", 9101), {}, True),
        (Address("10.0.0.5", 9101), {"metrics": Address("10.0.0.5", 9101)}, False),
        (Address("0.0.0.0", 9101), {"admin": Address("0.0.0.0", 9101)}, True),
        (SocketFile("/run/admin"), {}, True),
    ],
)
def test_the_token_crosses_a_network_only_where_the_operator_said_so(
    tmp_path: Path, address: Address | SocketFile, changes: dict[str, Any], *, there: bool
) -> None:
    assert _has_pages(settings(tmp_path, **changes), address) is there


def test_they_show_what_needs_the_operator(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with operating(tmp_path, workers=1) as operator:
            store, at = operator.harness.service.store, time.time()
            await store.write(strayed(at))
            await store.write(measurements.ingest(made_rows(at)))
            page = await operator.page("/admin")
            assert "1 key says something else" in page
            assert "chain timing" in page
            assert "KZ AS50482" in page
            assert "Ready: " in page
            assert re.search(r"<td>processes</td><td class=\"n\"><span>1</span>", page)
            rows = await operator.page("/admin/keys?straying=yes")
            assert rows.count("<tr>") == 2
            assert "5 % of 180" in rows
            # In the order of `qazcollector keys`.
            first = re.findall(r"find=(\w+)", await operator.page("/admin/keys"))[0]
            assert first == "strays"
            assert "No key and no branch" in await operator.page("/admin/keys?find=nobody")
            for path in ("/admin?x=1", "/admin/keys?find=%3Cb%3E", "/admin/keys?straying=maybe"):
                assert (await operator.ask("GET", path)).status == 400

    asyncio.run(scenario())


def strayed(at: float) -> Operation[None]:
    key = Key("strays", b"x" * 32, "probe")
    yield from keys.enrol(key, None, needs_invite=False, at=at - 20 * DAY)
    sums = {"key_id": "strays", "voted": 20, "compared": 20, "agreed": 1}
    yield Execute("conduct_put", [{**sums, "day": int(at // DAY) - n} for n in range(9)])


def made_rows(at: float) -> list[measurements.MeasurementRow]:
    doubted = msgspec.structs.replace(row(1, at), key_id="strays", doubts="chain timing", voting=0)
    claimed = msgspec.structs.replace(
        row(2, at), key_id="strays", peer_agrees=0, claimed_country="KZ", claimed_asn=50482
    )
    return [doubted, claimed]


def test_pages_are_whole_without_scripts_and_other_sites(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with operating(tmp_path) as operator:
            sender = await operator.harness.probe()
            reason = "<script>alert(1)</script>\" onload='x'"
            await operator.post("/admin/exclude", subject=sender.key_id, reason=reason)
            for path in ("/admin", "/admin/keys", f"/admin/keys?find={sender.key_id}"):
                reply = await operator.ask("GET", path)
                text, policy = reply.body.decode(), reply.headers["Content-Security-Policy"]
                assert "<script" not in text
                assert "&lt;script&gt;" in text
                assert not re.search(
                    r"""(src|href|action)=["']?(https?:)?//|style=|onload='""", text
                )
                assert policy.startswith("default-src 'none'; style-src 'sha256-")
                assert "form-action 'self'" in policy
                assert reply.headers["Cache-Control"] == "no-store"
                style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
                assert style is not None
                assert style[1] == rendering.style()

    asyncio.run(scenario())


def test_a_key_is_set_aside_and_counted_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with operating(tmp_path) as operator:
            harness = operator.harness
            liar, other = await harness.probe(), await harness.probe()
            await liar.send(*(record(**BAD) for _ in range(3)))  # type: ignore[arg-type]
            await other.send(record())
            assert await counted(harness) == 4
            done = await operator.post(
                "/admin/exclude", subject=liar.key_id, since="2026-01-01", reason=" made  up "
            )
            assert done.status == 303
            assert done.headers["Location"] == f"/admin/keys?find={liar.key_id}"
            assert await counted(harness) == 1
            page = await operator.page(done.headers["Location"])
            assert "what was measured since 2026-01-01: made up" in page
            assert liar.key_id in await operator.page("/admin")
            done = await operator.post("/admin/include", subject=liar.key_id)
            assert done.status == 303
            assert await counted(harness) == 4
            for path in ("/admin/include", "/admin/exclude"):
                reply = await operator.post(path, subject="nobody", reason="x")
                assert reply.status == 404

    asyncio.run(scenario())


async def counted(harness: CollectorHarness) -> float:
    shown = await harness.metrics()
    return sum(n for name, n in shown.items() if name.startswith("qazprobe_measurements_total"))


def test_other_pages_and_programs_cannot_send_its_forms(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with operating(tmp_path) as operator:
            sender = await operator.harness.probe()
            await sender.send(record())
            good = {"proof": await operator.proof(), "subject": sender.key_id, "reason": "x"}
            host = (operator.harness.running.admin or "").removeprefix("http://")
            for expected, fields, headers in (
                (403, {**good, "proof": ""}, {}),
                (403, {**good, "proof": "\udc80é"}, {}),
                (403, {**good, "proof": good["proof"][:-1] + "x"}, {}),
                (403, good, {"Origin": "https://page.example"}),
                (403, good, {"Sec-Fetch-Site": "cross-site"}),
                (403, good, {"Sec-Fetch-Site": "same-site", "Origin": f"http://{host}"}),
                (415, good, {"Content-Type": "text/plain"}),
                (413, {**good, "reason": "x" * 20_000}, {}),
                (400, {**good, "reason": "x" * 201}, {}),
                (400, {**good, "reason": " "}, {}),
                (400, {**good, "since": "yesterday"}, {}),
                (404, {**good, "subject": "' OR 1=1 --"}, {}),
            ):
                body = "&".join(f"{k}={v}" for k, v in fields.items()).encode("utf-8", "replace")
                options = {"Content-Type": FORM, **OWN, **headers}
                reply = await operator.ask("POST", "/admin/exclude", data=body, headers=options)
                assert reply.status == expected, (reply.body, headers)
            assert await operator.harness.service.store.read(exclusions.exclusions()) == []
            # What browsers send with their own forms.
            for headers in (
                {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
                {"Origin": f"http://{host}"},
            ):
                reply = await operator.ask(
                    "POST", "/admin/exclude", data=good, headers={**OWN, **headers}
                )
                assert reply.status == 303
        # A form of an earlier start is worth nothing.
        async with operating(tmp_path) as operator:
            reply = await operator.ask("POST", "/admin/exclude", data=good)
            assert reply.status == 403

    asyncio.run(scenario())


def test_what_takes_long_goes_on_without_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.api.admin_pages.MOVE_SECONDS", 0.05)
    released = asyncio.Event()
    ended = []

    async def slow(*_: object, **__: object) -> object:
        await released.wait()
        ended.append(True)
        return setting_aside.Moved(1, 1)

    monkeypatch.setattr(setting_aside, "set_aside", slow)

    async def scenario() -> None:
        async with operating(tmp_path) as operator:
            sender = await operator.harness.probe()
            done = await operator.post("/admin/exclude", subject=sender.key_id, reason="x")
            assert (done.status, ended) == (303, [])
            assert "still being moved" in await operator.page(done.headers["Location"])
            released.set()
            async with asyncio.timeout(60):
                while not ended:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_an_interrupted_inclusion_is_finished_by_doing_it_again(
    tmp_path: Path, any_store: str
) -> None:
    async def scenario() -> None:
        store = await open_store(any_store)
        try:
            await store.write(strayed(1_795_600_000.0))
            await store.write(measurements.ingest(made_rows(1_795_600_000.0)))
            done = await setting_aside.set_aside(store, "strays", since=0, reason="x", at=1)
            assert done == (1, 2)
            # It ended after the first of its transactions.
            await store.write(exclusions.include("strays"))
            assert await setting_aside.take_back(store, "strays") == (1, 2)
            assert await setting_aside.take_back(store, "strays") is None
        finally:
            await store.close()

    asyncio.run(scenario())

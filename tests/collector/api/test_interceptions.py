"""The table of interceptions, and the stored certificates behind it."""

import asyncio
import base64
import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace as change

from collector.admin import retention
from collector.api.interceptions import COLUMNS, InterceptedLeaf, summarise
from collector.untrusted_chains import UntrustedChain, chains
from probe.lab import pki
from probe.lab.pki import Pki, ServerCertificate
from probe.model import Authority, Mechanism, Outcome, Record, Role, Tls, Trust, TrustReason
from tests.collector.harness import (
    KZ,
    LISTED,
    OTHER,
    CollectorHarness,
    collector,
    fine,
    now,
    record,
)

MITM = (Mechanism.TLS_MITM,)
SHARED = Path(__file__).parents[4] / "shared" / "data" / "authorities"
FORGED = Trust(
    valid=False,
    reason=TrustReason.UNKNOWN_AUTHORITY,
    named=True,
    issuer_key="a",
    leaf_key="b",
    authority=Authority(id="kz.isca", kind="interception", proof="claimed"),
)


@cache
def lab_pki() -> Pki:
    return Pki(datetime(2026, 11, 1, tzinfo=UTC))


def ders(served: ServerCertificate) -> tuple[bytes, ...]:
    found = x509.load_pem_x509_certificates(served.chain)
    return tuple(one.public_bytes(Encoding.DER) for one in found)


@cache
def forged_for(name: str) -> tuple[bytes, ...]:
    """A leaf and the intermediate above it, like those of the interception of 2021."""
    lab = lab_pki()
    true = x509.load_der_x509_certificate(ders(lab.serve("trusted", (name,)))[0])
    return ders(pki.forge_2021(lab.interceptor_2021, true))


def digests(chain: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(der).hexdigest() for der in chain)


def intercepted(input_: str = LISTED, *, trust: Trust = FORGED, **changes: object) -> Record:
    name = input_.split("/")[2]
    chain = forged_for(name)
    lookup, connect, shaken, _ = fine(name)
    assert isinstance(shaken, Tls)
    certs = {sha: base64.b64encode(der).decode() for sha, der in zip(digests(chain), chain)}  # noqa: B905 - one is made of the other
    steps = (lookup, connect, change(shaken, trust=trust, chain=digests(chain)))
    made = record(input_, steps, outcome=Outcome.INTERCEPTED, mechanisms=MITM, certs=certs)
    return change(made, **changes)


def test_the_table_has_authority_names_networks_and_times(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            first, second = await harness.probe(), await harness.probe()
            await first.send(intercepted(started_at=now(-7200)))
            await second.send(
                intercepted(OTHER), intercepted(vantage=change(KZ, asn=29355, network="Kcell"))
            )
            await first.send(record())  # not intercepted, so not in the table
            (line,) = (await harness.ask("GET", "/v1/interceptions")).data["interceptions"]
            assert (line["authority"], line["proof"]) == ("kz.isca", "claimed")
            assert line["intermediate"]["sha256"] == digests(forged_for("listed.example"))[1]
            assert "ISCA node 4" in line["intermediate"]["subject"]
            assert len(line["intermediate"]["sha1"]) == 40
            assert line["names"] == ["listed.example", "other.example"]
            assert [(n["country"], n["asn"]) for n in line["networks"]] == [
                ("KZ", 9198),
                ("KZ", 29355),
            ]
            assert (line["leaves"], line["probes"], line["measurements"]) == (2, 2, 3)
            assert line["leaf_days"] == 90
            assert line["first_seen"] < line["last_seen"]
            by_leaf = (await harness.ask("GET", "/v1/interceptions?by=leaf")).data["interceptions"]
            assert {one["leaf"]["subject"] for one in by_leaf} == {
                "CN=listed.example",
                "CN=other.example",
            }

    asyncio.run(scenario())


def test_the_table_can_be_filtered(tmp_path: Path) -> None:
    async def found(harness: CollectorHarness, query: str) -> int:
        return len((await harness.ask("GET", f"/v1/interceptions?{query}")).data["interceptions"])

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(intercepted())
            assert await found(harness, "country=kz&asn=AS9198&target=listed.example") == 1
            assert await found(harness, "country=RU") == 0
            assert await found(harness, "target=other.example") == 0
            assert await found(harness, "since=2001-01-01&until=2002-01-01") == 0
            assert await found(harness, "min_probes=2") == 0
            for wrong in ("by=name", "format=xml", "min_probes=x"):
                assert (await harness.ask("GET", f"/v1/interceptions?{wrong}")).status == 400

    asyncio.run(scenario())


def test_the_table_as_csv(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(intercepted())
            export = await harness.ask("GET", "/v1/export/interceptions")
            asked = await harness.ask("GET", "/v1/interceptions", headers={"Accept": "text/csv"})
            named = await harness.ask("GET", "/v1/interceptions?format=csv")
            assert export.body == asked.body == named.body
            assert export.headers["Content-Type"].startswith("text/csv")
            header, line = list(csv.reader(io.StringIO(export.body.decode())))
            assert tuple(header) == COLUMNS
            cells = dict(zip(header, line, strict=True))
            assert (cells["authority"], cells["networks"]) == ("kz.isca", "KZ/AS9198")
            assert cells["intermediate_sha256"] == digests(forged_for("listed.example"))[1]
            leaves = await harness.ask("GET", "/v1/export/interceptions?by=leaf&format=json")
            assert leaves.data["interceptions"][0]["leaf"]["pem"]

    asyncio.run(scenario())


def test_certificates_are_served_by_their_hash(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(intercepted(), intercepted())
            for der in forged_for("listed.example"):
                sha256 = hashlib.sha256(der).hexdigest()
                reply = await harness.ask("GET", f"/v1/certificates/{sha256}.pem")
                assert reply.status == 200
                found = x509.load_pem_x509_certificate(reply.body)
                assert found.public_bytes(Encoding.DER) == der
            for wrong in ("0" * 64 + ".pem", "nonsense.pem", "0" * 64, "%2e%2e%2fsecret"):
                assert (await harness.ask("GET", f"/v1/certificates/{wrong}")).status == 404

    asyncio.run(scenario())


def test_a_claimed_authority_is_not_used(tmp_path: Path) -> None:
    claim = Authority(id="kz.qaznet.2016", kind="interception", proof="verified")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(intercepted(trust=change(FORGED, authority=claim)))
            (line,) = (await harness.ask("GET", "/v1/interceptions")).data["interceptions"]
            assert (line["authority"], line["proof"]) == ("kz.isca", "claimed")

    asyncio.run(scenario())


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the certificates of the real authorities are not in the repository"
)
def test_a_known_root_in_a_chain_is_recognised_by_its_key() -> None:
    root = x509.load_pem_x509_certificate((SHARED / "qaznet_root_2016.pem").read_bytes())
    known = root.public_bytes(Encoding.DER)
    leaf = forged_for("listed.example")[0]
    names = [hashlib.sha256(der).hexdigest() for der in (leaf, known)]
    seen = InterceptedLeaf(names[0], names[1], "listed.example", "KZ", 9198, "", "key", 1.0, 2.0, 1)
    (line,) = summarise([seen], dict(zip(names, (leaf, known), strict=True)), by_leaf=False)
    assert (line.authority, line.proof) == ("kz.qaznet.2016", "verified")
    assert line.intermediate.sha1 == "5811835eefaa2028835ab955da6829bf043a756d"


def test_missing_and_unreadable_certificates_still_make_rows() -> None:
    leaf = forged_for("listed.example")[0]
    name = hashlib.sha256(leaf).hexdigest()
    alone = InterceptedLeaf(name, "", "listed.example", "KZ", 9198, "", "key", 1.0, 2.0, 1)
    gone = changed(alone, leaf="1" * 64, above="2" * 64)
    broken = changed(alone, leaf="3" * 64)
    found = summarise([alone, gone, broken], {name: leaf, "3" * 64: b"junk"}, by_leaf=False)
    assert {line.intermediate.subject for line in found} == {None, "", "CN=ISCA node 4,O=ISCA,C=KZ"}
    assert {line.intermediate.sha256 for line in found} == {None, "2" * 64}
    assert [line.leaf_days for line in found if line.intermediate.sha256] == [None]


def changed(seen: InterceptedLeaf, **changes: str) -> InterceptedLeaf:
    return seen._replace(**changes)  # type: ignore[arg-type]


def test_which_chains_are_stored() -> None:
    def of(*steps: Tls) -> tuple[UntrustedChain, ...]:
        return chains(record(LISTED, steps))

    name = "listed.example"
    own = Tls(address="192.0.2.1", port=443, sni=name, chain=("a" * 64, "b" * 64), trust=FORGED)
    assert of(own, own) == (UntrustedChain(name, ("a" * 64, "b" * 64)),)
    assert of(change(own, role=Role.NEUTRAL))
    assert of(change(own, role=Role.HARMLESS), change(own, role=Role.REFERENCE)) == ()
    assert of(change(own, trust=change(FORGED, valid=True))) == ()
    assert of(change(own, trust=change(FORGED, anchored=True))) == ()
    assert of(change(own, trust=change(FORGED, reason=TrustReason.INCOMPLETE))) == ()
    national = Authority(id="ru", kind="national", proof="verified")
    assert of(change(own, trust=change(FORGED, authority=national))) == ()
    assert of(change(own, chain=()), change(own, chain=("../x",)), change(own, trust=None)) == ()
    assert of(change(own, sni="<script>"), change(own, sni=None)) == ()
    many = (change(own, chain=(f"{n:064x}",) * 40) for n in range(40))
    kept = of(*many)
    assert len(kept) == 16
    assert {len(one.digests) for one in kept} == {6}


def test_certificates_of_untrusted_chains_are_kept_as_long_as_the_record(tmp_path: Path) -> None:
    sha256 = digests(forged_for("listed.example"))[0]

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(intercepted())
            store, later = harness.service.store, datetime.now(UTC) + timedelta(days=1)
            at = later.timestamp()
            await retention.retire(store, now=at, raw_before=at, before=0.0)
            assert (await harness.ask("GET", f"/v1/certificates/{sha256}.pem")).status == 200
            assert len((await harness.ask("GET", "/v1/interceptions")).data["interceptions"]) == 1
            await retention.retire(store, now=at, raw_before=at, before=at)
            harness.service.snapshots.touch()  # or ten seconds later
            assert (await harness.ask("GET", f"/v1/certificates/{sha256}.pem")).status == 404
            assert (await harness.ask("GET", "/v1/interceptions")).data["interceptions"] == []

    asyncio.run(scenario())


def test_erased_records_are_removed_from_the_table(tmp_path: Path) -> None:
    sha256 = digests(forged_for("listed.example"))[0]

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            stays, goes = await harness.probe(), await harness.probe()
            await stays.send(intercepted())
            await goes.send(intercepted(), intercepted(OTHER))
            assert (await goes.ask("DELETE", "/v1/probes/me")).status in {200, 204}
            (line,) = (await harness.ask("GET", "/v1/interceptions")).data["interceptions"]
            assert (line["probes"], line["names"]) == (1, ["listed.example"])
            assert (await harness.ask("GET", f"/v1/certificates/{sha256}.pem")).status == 200
            await stays.ask("DELETE", "/v1/probes/me")
            assert (await harness.ask("GET", f"/v1/certificates/{sha256}.pem")).status == 404

    asyncio.run(scenario())

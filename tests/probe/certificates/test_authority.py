"""Known authorities: verified by a fingerprint or a key, claimed by a name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from probe import reference_data
from probe.certificates import authority as recognising, certificate
from probe.certificates.roots import Roots
from probe.certificates.trust import evaluate
from probe.lab import pki
from probe.lab.pki import Pki
from probe.model import Authority, TrustReason
from probe.reference_data import KnownAuthority

HOST = "site.example"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SHARED = Path(__file__).parents[4] / "shared" / "reference" / "kazakhstan.md"
LAB = Pki(NOW)


def chain(days: tuple[int, int]) -> tuple[bytes, ...]:
    """A leaf and an intermediate of an unknown authority, valid for these days around now."""
    above = pki.intermediate(LAB.interceptor_anonymous, "CN=Node 7,O=Box", now=NOW, days=days)
    served = pki.leaf(above, (HOST,), now=NOW, days=days)
    found = x509.load_pem_x509_certificates(served.chain)
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def listed(der: bytes, monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Put a certificate on the list as a report gives it: SHA-1 and serial, no key."""
    read = certificate.read(der)
    facts = {"sha1": read.sha1, "serial": read.serial, **changes}
    entry = KnownAuthority(id="kz.node-7", family="kz.isca", kind="interception", **facts)  # type: ignore[arg-type]
    monkeypatch.setattr(recognising, "authorities", lambda: (entry,))


def found(ders: tuple[bytes, ...]) -> Authority | None:
    return evaluate(ders, HOST, roots=Roots(()), now=NOW).authority


@pytest.mark.parametrize("days", [(10, 40), (400, -100), (-10, 40)])
def test_a_listed_intermediate_counts_with_any_dates(
    days: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ders = chain(days)
    listed(ders[1], monkeypatch)
    assert found(ders) == Authority(id="kz.node-7", kind="interception", proof="verified")
    assert not evaluate(ders, HOST, roots=Roots(()), now=NOW).valid


def test_the_same_serial_on_another_certificate_is_a_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ders = chain((10, 40))
    listed(ders[1], monkeypatch, sha1="0" * 40)
    assert found(ders) == Authority(id="kz.node-7", kind="interception", proof="claimed")


def test_a_fingerprint_without_its_serial_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ders = chain((10, 40))
    listed(ders[1], monkeypatch, serial="77")
    assert found(ders) is None


def test_an_expired_chain_of_a_known_key_is_still_that_key_s() -> None:
    ders = chain((400, -100))
    trust = evaluate(ders, HOST, roots=Roots(()), now=NOW + timedelta(days=3650))
    assert trust.reason is TrustReason.UNKNOWN_AUTHORITY
    signer = certificate.read(ders[1])
    entry = KnownAuthority(id="x", family="y", kind="interception", spki=signer.spki)
    assert recognising._signed(entry, certificate.read(ders[0]))


def test_the_seven_intermediates_are_there_with_what_is_published_of_them() -> None:
    seven = [one for one in reference_data.authorities() if one.sha1 and not one.spki]
    assert len(seven) == 7
    for one in seven:
        assert len(bytes.fromhex(one.sha1)) == 20
        assert bytes.fromhex(one.serial)
        assert one.not_before < one.not_after
        assert one.source
    assert len({one.sha1 for one in seven}) == 7


@pytest.mark.skipif(not SHARED.is_file(), reason="the notes on what was published are apart")
def test_they_are_those_that_were_published() -> None:
    text = SHARED.read_text().lower().replace(":", "")
    for one in reference_data.authorities():
        if one.sha1 and not one.spki:
            assert one.sha1 in text or one.sha1[:12] in text

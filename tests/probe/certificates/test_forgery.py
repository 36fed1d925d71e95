"""Comparisons of a forged leaf with the true one."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.certificates.forgery import (
    LeafFacts,
    Mark,
    leaf_facts,
    marks,
    resembles_2019,
    shifted_by,
    trust_facts,
)
from probe.model import Trust

TRUE = LeafFacts(
    serial=bytes(range(1, 17)),
    not_before=datetime(2019, 6, 1, 8, 30, 12, tzinfo=UTC),
    not_after=datetime(2019, 8, 30, 8, 30, 12, tzinfo=UTC),
    names=("site.example",),
    extensions=2,
    logged=True,
    leaf_key="true",
)
SIX = timedelta(hours=6)
FORGED = replace(
    TRUE,
    serial=TRUE.serial[:-4] + b"\xaa\xbb\xcc\xdd",
    not_before=TRUE.not_before - SIX,
    not_after=TRUE.not_after - SIX,
    extensions=0,
    logged=False,
    leaf_key="forged",
)


def test_the_system_of_2019_is_recognised_without_any_key() -> None:
    assert marks(FORGED, TRUE) == tuple(Mark)
    assert resembles_2019(FORGED, TRUE)
    assert shifted_by(FORGED, TRUE) == -SIX


def trust_of(leaf: LeafFacts) -> Trust:
    return Trust(
        valid=False,
        leaf_key=leaf.leaf_key,
        not_before=f"{leaf.not_before:%Y-%m-%dT%H:%M:%SZ}",
        not_after=f"{leaf.not_after:%Y-%m-%dT%H:%M:%SZ}",
        serial=leaf.serial.hex(),
        logged=leaf.logged,
        extensions=leaf.extensions,
    )


def test_a_step_s_summary_of_a_leaf_is_enough_to_compare() -> None:
    forged, true = (trust_facts(trust_of(leaf)) for leaf in (FORGED, TRUE))
    assert forged is not None
    assert true is not None
    assert resembles_2019(forged, true)


def test_an_incomplete_or_invalid_summary_is_not_compared() -> None:
    whole = trust_of(TRUE)
    for spoiled in (
        replace(whole, serial="xy"),
        replace(whole, serial=""),
        replace(whole, not_before="2019-06-01T08:30:12"),
        replace(whole, not_after=None),
        replace(whole, logged=None),
        replace(whole, extensions=None),
        replace(whole, leaf_key=""),
    ):
        assert trust_facts(spoiled) is None


def test_a_renewed_certificate_and_the_same_one_do_not_resemble_it() -> None:
    later = timedelta(days=60)
    renewed = replace(
        TRUE,
        serial=bytes(reversed(TRUE.serial)),
        not_before=TRUE.not_before + later,
        not_after=TRUE.not_after + later,
        leaf_key="renewed",
    )
    assert marks(renewed, TRUE) == ()
    assert marks(TRUE, TRUE) == ()
    assert not resembles_2019(replace(FORGED, leaf_key="true"), TRUE)


def test_each_mark_is_needed() -> None:
    spoiled = {
        Mark.DATES: replace(FORGED, not_after=TRUE.not_after),
        Mark.SERIAL: replace(FORGED, serial=b"\x01" + FORGED.serial),
        Mark.EXTENSIONS: replace(FORGED, extensions=1),
        Mark.UNLOGGED: replace(FORGED, logged=True),
    }
    for mark, leaf in spoiled.items():
        assert set(marks(leaf, TRUE)) == set(Mark) - {mark}
        assert not resembles_2019(leaf, TRUE)


@given(st.integers(-200_000, 200_000), st.integers(-200_000, 200_000))
def test_only_whole_hours_within_a_day_count(start: int, end: int) -> None:
    leaf = replace(
        TRUE,
        not_before=TRUE.not_before + timedelta(seconds=start),
        not_after=TRUE.not_after + timedelta(seconds=end),
    )
    expected = start == end and start % 3600 == 0 and 0 < abs(start) <= 86_400
    assert (shifted_by(leaf, TRUE) is not None) is expected


@given(st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
def test_serials_that_do_not_share_a_head_are_no_mark(one: bytes, other: bytes) -> None:
    copied = Mark.SERIAL in marks(replace(FORGED, serial=one), replace(TRUE, serial=other))
    shares = len(one) == len(other) >= 8 and one[:-4] == other[:-4] and one != other
    assert copied is shares


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_have_no_facts(data: bytes) -> None:
    assert leaf_facts(data) is None


def test_facts_are_read_from_a_real_certificate() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.example")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    alt = x509.SubjectAlternativeName([x509.DNSName("site.example"), x509.DNSName("a.example")])
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(0x80FF00112233445566778899).not_valid_before(start)
        .not_valid_after(start + timedelta(days=90)).add_extension(alt, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )  # fmt: skip
    facts = leaf_facts(cert.public_bytes(Encoding.DER))
    assert facts is not None
    assert facts.serial.hex() == "80ff00112233445566778899"
    assert facts.names == ("a.example", "site.example")
    assert (facts.not_before, facts.key_bits, facts.exponent) == (start, 2048, 65537)
    assert facts.extensions == 1
    assert not facts.logged

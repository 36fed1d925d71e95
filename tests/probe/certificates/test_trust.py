"""What chains prove: honest, careless, forged and hostile ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings, strategies as st

from probe import reference_data
from probe.certificates import certificate, signature
from probe.certificates.der import DerError
from probe.certificates.roots import MachineStore, Roots, RootsError, pem_certificates
from probe.certificates.trust import covers, evaluate
from probe.model import Authority, Trust, TrustReason

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOST = "site.example"
SHARED = Path(__file__).parents[3] / ".." / "shared" / "data" / "authorities"
Key = CertificateIssuerPrivateKeyTypes


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def name(common: str, organisation: str = "Lab") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    cert: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(Encoding.DER)


def issue(
    common: str,
    by: Issued | None = None,
    *,
    authority: bool = False,
    names: Sequence[str] = (),
    key: Key | None = None,
    issuer: x509.Name | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
    organisation: str = "Lab",
    start: datetime = NOW - timedelta(days=30),
    end: datetime = NOW + timedelta(days=60),
    depth: int | None = None,
) -> Issued:
    """Make a certificate, signed by itself unless `by` says otherwise."""
    mine = key or new_key()
    signer = by.key if by else mine
    subject = name(common, organisation)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or (by.cert.subject if by else subject))
        .public_key(mine.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(authority, depth if authority else None), critical=True
        )
    )
    if names:
        builder = builder.add_extension(alt_names(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()
    return Issued(builder.sign(signer, digest), mine)


def alt_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    general: list[x509.GeneralName] = []
    for text in names:
        try:
            general.append(x509.IPAddress(ip_address(text)))
        except ValueError:
            general.append(x509.DNSName(text))
    return x509.SubjectAlternativeName(general)


ROOT = issue("Lab Root", authority=True)
MIDDLE = issue("Lab Intermediate", ROOT, authority=True)
LEAF = issue(HOST, MIDDLE, names=[HOST, f"*.{HOST}", "192.0.2.7", "2001:db8::7"])
FORGER = issue("Forger", authority=True, organisation="Unknown")
FORGED = issue(HOST, FORGER, names=[HOST])
ROOTS = Roots([ROOT.der])
AIA = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.example/i.crt"),
        )
    ]
)


def judge(*chain: Issued, host: str | None = HOST, now: datetime = NOW) -> Trust:
    return evaluate([one.der for one in chain], host, roots=ROOTS, now=now)


def test_a_good_chain_is_valid_in_any_order_and_with_surplus() -> None:
    for chain in ((LEAF, MIDDLE), (LEAF, ROOT, MIDDLE), (LEAF, FORGER, MIDDLE, MIDDLE, ROOT)):
        trust = judge(*chain)
        assert trust.valid
        assert trust.reason is None
        assert trust.anchored
        assert trust.named
        assert trust.subject == f"CN={HOST},O=Lab,C=XX"
        assert trust.issuer == "CN=Lab Intermediate,O=Lab,C=XX"
        assert trust.issuer_key == certificate.read(MIDDLE.der).spki_sha256
        assert trust.leaf_key == certificate.read(LEAF.der).spki_sha256
        assert trust.not_before == "2026-10-22T12:00:00Z"
        assert trust.authority is None


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        (HOST, True), (HOST.upper(), True), (f"{HOST}.", True), (f"www.{HOST}", True),
        (f"a.www.{HOST}", False), ("other.example", False), ("example", False), ("", False),
        (None, False), ("192.0.2.7", True), ("192.0.2.8", False), ("2001:db8:0::7", True),
        ("[2001:db8::7]", True), ("2001:db8::8", False), ("a b", False),
    ],
)  # fmt: skip
def test_names_are_matched_as_browsers_match_them(host: str | None, *, covered: bool) -> None:
    assert covers(certificate.read(LEAF.der), host) is covered
    trust = judge(LEAF, MIDDLE, host=host)
    assert trust.named is covered
    assert trust.reason is (None if covered else TrustReason.HOSTNAME)


def test_wildcards_and_common_names_prove_little() -> None:
    leaf = issue("common.example", MIDDLE, names=["*.example", "w*.site.example", "*"])
    for host in ("common.example", "www.site.example", "example", "site.example"):
        assert not covers(certificate.read(leaf.der), host)


@pytest.mark.parametrize("key", ["rsa", "ec", "ed25519"])
def test_keys_of_every_kind_sign(key: str) -> None:
    kinds: dict[str, Key] = {
        "rsa": rsa_key(),
        "ec": ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    root = issue("Root", authority=True, key=kinds[key])
    leaf = issue(HOST, root, names=[HOST])
    assert evaluate([leaf.der], HOST, roots=Roots([root.der]), now=NOW).valid


def test_rsa_pss_verifies() -> None:
    root = issue("Root", authority=True, key=rsa_key())
    builder = (
        x509.CertificateBuilder().subject_name(name(HOST)).issuer_name(root.cert.subject)
        .public_key(new_key().public_key()).serial_number(5)
        .not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
        .add_extension(alt_names([HOST]), critical=False)
    )  # fmt: skip
    pss = padding.PSS(padding.MGF1(SHA256()), 32)
    leaf = builder.sign(rsa_key(), SHA256(), rsa_padding=pss)
    der = leaf.public_bytes(Encoding.DER)
    assert evaluate([der], HOST, roots=Roots([root.der]), now=NOW).valid


def test_nothing_served_and_nothing_readable() -> None:
    assert judge().reason is TrustReason.EMPTY
    garbage = evaluate([b"\x30\x03abc", MIDDLE.der], HOST, roots=ROOTS, now=NOW)
    assert garbage == Trust(valid=False, reason=TrustReason.MALFORMED)


def test_an_unreadable_certificate_beside_a_good_chain_does_no_harm() -> None:
    chain = [LEAF.der, b"\xff" * 40, MIDDLE.der]
    assert evaluate(chain, HOST, roots=ROOTS, now=NOW).valid


def test_a_certificate_that_signs_itself() -> None:
    trust = judge(issue(HOST, names=[HOST]))
    assert trust.reason is TrustReason.SELF_SIGNED
    assert not trust.anchored
    assert trust.named
    assert trust.issuer_key == trust.leaf_key


def test_an_unknown_authority() -> None:
    for chain in ((FORGED,), (FORGED, FORGER)):
        trust = judge(*chain)
        assert trust.reason is TrustReason.UNKNOWN_AUTHORITY
        assert not trust.anchored
    other = issue("other.example", FORGER, names=["other.example"])
    assert judge(FORGED, FORGER).issuer_key == judge(other, FORGER, host=None).issuer_key


def test_an_issuer_that_was_not_served_is_identified_by_key_identifier_or_name() -> None:
    identified = issue(
        HOST, FORGER, extensions=[x509.AuthorityKeyIdentifier(b"\xab" * 20, None, None)]
    )
    assert judge(identified).issuer_key == "aki:" + "ab" * 20
    assert judge(FORGED).issuer_key.startswith("name:")
    assert judge(FORGED).issuer_key == judge(issue("x", FORGER)).issuer_key


def test_a_forger_that_borrows_a_root_s_name_is_unknown() -> None:
    twin = issue("Lab Root", authority=True)
    leaf = issue(HOST, twin, names=[HOST])
    assert judge(leaf, twin).reason is TrustReason.UNKNOWN_AUTHORITY
    assert judge(leaf).reason is TrustReason.UNKNOWN_AUTHORITY


def test_a_missing_intermediate_of_a_public_authority_is_incomplete() -> None:
    leaf = issue(HOST, MIDDLE, names=[HOST], extensions=[AIA])
    trust = judge(leaf)
    assert trust.reason is TrustReason.INCOMPLETE
    assert not trust.valid
    assert not trust.anchored
    stranger = issue(HOST, FORGER, names=[HOST], extensions=[AIA])
    assert judge(stranger).reason is TrustReason.UNKNOWN_AUTHORITY
    assert judge(stranger, FORGER).reason is TrustReason.UNKNOWN_AUTHORITY


def test_dates_have_their_own_reasons() -> None:
    late = judge(LEAF, MIDDLE, now=NOW + timedelta(days=90))
    assert (late.reason, late.anchored, late.named) == (TrustReason.EXPIRED, True, True)
    early = judge(LEAF, MIDDLE, now=NOW - timedelta(days=90))
    assert (early.reason, early.anchored) == (TrustReason.NOT_YET_VALID, True)


def test_an_expired_cross_signature_does_not_invalidate_a_good_path() -> None:
    old = issue("Old Root", authority=True)
    start, end = NOW - timedelta(days=900), NOW - timedelta(days=9)
    crossed = issue("Lab Intermediate", old, authority=True, key=MIDDLE.key, start=start, end=end)
    roots = Roots([old.der, ROOT.der])
    trust = evaluate([LEAF.der, crossed.der, MIDDLE.der], HOST, roots=roots, now=NOW)
    assert trust.valid
    only = evaluate([LEAF.der, crossed.der], HOST, roots=roots, now=NOW)
    assert only.reason is TrustReason.EXPIRED


def test_a_site_s_own_certificate_is_no_authority() -> None:
    victim = issue("other.example", LEAF, names=["other.example"])
    trust = judge(victim, LEAF, MIDDLE, host="other.example")
    assert trust.reason is TrustReason.REJECTED
    assert not trust.anchored


def test_depth_name_constraints_and_uses_are_enforced() -> None:
    shallow = issue("Shallow", ROOT, authority=True, depth=0)
    below = issue("Below", shallow, authority=True)
    assert judge(issue(HOST, shallow, names=[HOST]), shallow).valid
    assert not judge(issue(HOST, below, names=[HOST]), below, shallow).anchored

    limits = x509.NameConstraints([x509.DNSName("gov.example")], None)
    bound = issue("Bound", ROOT, authority=True, extensions=[limits])
    inside = issue("a", bound, names=["www.gov.example"])
    assert judge(inside, bound, host="www.gov.example").valid
    outside = judge(issue("b", bound, names=[HOST]), bound)
    assert (outside.reason, outside.anchored) == (TrustReason.REJECTED, True)

    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    letter = issue(HOST, MIDDLE, names=[HOST], extensions=[mail])
    assert judge(letter, MIDDLE).reason is TrustReason.REJECTED


def test_names_that_differ_in_case_and_space_are_one_name() -> None:
    leaf = issue(HOST, ROOT, names=[HOST], issuer=name("LAB  root"))
    assert judge(leaf).valid


def test_the_machine_s_own_store_marks_a_local_product() -> None:
    product = MachineStore(lambda: [FORGER.der])
    trust = evaluate([FORGED.der], HOST, roots=ROOTS, now=NOW, local=product)
    assert trust.local is True
    assert not trust.valid
    assert (
        evaluate([LEAF.der, MIDDLE.der], HOST, roots=ROOTS, now=NOW, local=product).local is False
    )
    other = issue(HOST, names=[HOST])
    assert evaluate([other.der], HOST, roots=ROOTS, now=NOW, local=product).local is False
    unreadable = MachineStore(lambda: ())
    assert evaluate([FORGED.der], HOST, roots=ROOTS, now=NOW, local=unreadable).local is None
    assert judge(FORGED).local is None


def test_this_machine_s_store_can_be_read() -> None:
    store = MachineStore()
    assert store.roots is store.roots


def known_name(common: str) -> Issued:
    return issue(common, authority=True, organisation="ISCA")


def test_a_known_name_with_an_unknown_key_is_a_claim() -> None:
    sibling = known_name("Information Security Certification Authority")
    leaf = issue(HOST, sibling, names=[HOST])
    claimed = Authority(id="kz.isca", kind="interception", proof="claimed")
    for chain in ((leaf,), (leaf, sibling), (sibling,)):
        assert judge(*chain).authority == claimed


def test_a_known_key_identifier_or_serial_is_a_claim() -> None:
    root = next(a for a in reference_data.authorities() if a.id == "kz.isca.2020-070441")
    aki = x509.AuthorityKeyIdentifier(bytes.fromhex(root.key_id), None, None)
    leaf = issue(HOST, FORGER, names=[HOST], extensions=[aki])
    assert judge(leaf, FORGER).authority == Authority(
        id=root.id, kind="interception", proof="claimed"
    )


def test_national_roots_are_no_interception() -> None:
    russian = issue("Russian Trusted Root CA", authority=True)
    sub = issue("Russian Trusted Sub CA", russian, authority=True)
    trust = judge(issue(HOST, sub, names=[HOST]), sub)
    assert trust.authority == Authority(id="ru.trusted", kind="national", proof="claimed")
    own = judge(issue(HOST, known_name("ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (RSA)"), names=[HOST]))
    assert own.authority is not None
    assert own.authority.kind == "national"


def pem(stem: str) -> bytes:
    path = SHARED / f"{stem}.pem"
    if not path.is_file():
        pytest.skip("the certificates themselves are not part of the project")
    return pem_certificates(path.read_text())[0]


FILES = {
    "kz.qaznet.2016": "qaznet_root_2016",
    "kz.isca.ca-2020-040803": "isca_ca_2020_040803",
    "kz.isca.nursultan-2021": "isca_nursultan_2021",
    **{
        f"kz.isca.2020-{time_}": f"isca_2020_{time_}"
        for time_ in ("053951", "061640", "063037", "064338", "064602", "064823", "070441")
    },
}


@pytest.mark.parametrize("id_", FILES)
def test_each_known_root_is_recognised_and_its_facts_are_true(id_: str) -> None:
    der = pem(FILES[id_])
    facts = next(a for a in reference_data.authorities() if a.id == id_)
    read = certificate.read(der)
    assert (facts.sha256, facts.sha1, facts.spki_sha256) == (
        read.sha256, read.sha1, read.spki_sha256,
    )  # fmt: skip
    assert (facts.spki, facts.key_id, facts.serial) == (read.spki, read.key_id, read.serial)
    verified = Authority(id=id_, kind="interception", proof="verified")
    trust = evaluate([der], HOST, roots=ROOTS, now=NOW)
    assert trust.authority == verified
    assert evaluate([FORGED.der, der], HOST, roots=ROOTS, now=NOW).authority == verified


def test_a_known_root_appended_to_a_chain_that_leads_elsewhere_proves_nothing() -> None:
    der = pem("qaznet_root_2016")
    good = evaluate([LEAF.der, MIDDLE.der, der], HOST, roots=ROOTS, now=NOW)
    assert good.valid
    assert good.authority is None
    framed = evaluate([FORGED.der, FORGER.der, der], HOST, roots=ROOTS, now=NOW).authority
    assert framed is not None
    assert framed.proof == "claimed"


def test_facts_of_authorities_are_complete() -> None:
    roots = [known_ for known_ in reference_data.authorities() if known_.spki]
    others = [known_ for known_ in reference_data.authorities() if not known_.spki]
    assert (len(roots), len(others)) == (11, 7)
    assert len({entry.id for entry in reference_data.authorities()}) == 18
    families = {family.id for family in reference_data.families()}
    assert {entry.family for entry in reference_data.authorities()} <= families
    for entry in roots:
        assert signature.rsa_key(entry.spki) is not None
        assert len(entry.sha256) == 64
    assert all(len(entry.sha1) == 40 and entry.serial for entry in others)


def test_mozilla_s_roots_load_quickly_and_all_verify_themselves() -> None:
    started = time.process_time()
    roots = Roots.mozilla()
    assert time.process_time() - started < 0.5
    assert len(roots) > 100
    assert roots is Roots.mozilla()


def test_a_roots_file_without_roots_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "roots.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "absent.pem", tmp_path):
        with pytest.raises(RootsError):
            Roots.file(path)
    empty.write_bytes(ROOT.cert.public_bytes(Encoding.PEM))
    assert len(Roots.file(empty)) == 1


# What strangers may send. Nothing of it may raise, or take long.

ANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.lists(st.binary(max_size=300), max_size=4))
@ANY
def test_random_bytes_are_judged(chain: list[bytes]) -> None:
    assert not evaluate(chain, HOST, roots=ROOTS, now=NOW).valid


@given(st.data())
@ANY
def test_spoiled_certificates_are_judged(data: st.DataObject) -> None:
    der = bytearray(data.draw(st.sampled_from([LEAF.der, MIDDLE.der, FORGED.der])))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(der))))
    spoiled = bytes(der[:cut])
    trust = evaluate([spoiled, MIDDLE.der], HOST, roots=ROOTS, now=NOW)
    assert not trust.valid or spoiled == LEAF.der
    evaluate([LEAF.der, spoiled], HOST, roots=ROOTS, now=NOW)


@given(st.binary(max_size=200))
@ANY
def test_reading_raises_nothing_but_its_own_error(data: bytes) -> None:
    try:
        found = certificate.read(data)
    except DerError:
        return
    assert found.der == data


def test_a_crowd_of_authorities_that_sign_each_other_takes_bounded_time() -> None:
    keys = [new_key() for _ in range(4)]
    crowd = [
        issue(
            "Crowd", Issued(FORGER.cert, keys[j]), authority=True, key=keys[i], issuer=name("Crowd")
        )
        for i in range(4)
        for j in range(4)
    ]
    leaf = issue(HOST, Issued(FORGER.cert, keys[0]), names=[HOST], issuer=name("Crowd"))
    started = time.process_time()
    trust = judge(leaf, *crowd * 10)
    assert time.process_time() - started < 1.0
    assert trust.reason is TrustReason.UNKNOWN_AUTHORITY


def test_two_authorities_that_sign_each_other_are_no_root() -> None:
    one, two = new_key(), new_key()
    first = issue("A", Issued(FORGER.cert, two), authority=True, key=one, issuer=name("B"))
    second = issue("B", Issued(FORGER.cert, one), authority=True, key=two, issuer=name("A"))
    leaf = issue(HOST, first, names=[HOST])
    assert judge(leaf, first, second).reason is TrustReason.UNKNOWN_AUTHORITY


def big_key(bits: int, exponent: int) -> bytes:
    """A SubjectPublicKeyInfo with an odd modulus of that size; its private half is unknown."""
    numbers = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1)
    return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_giant_keys_are_verified_in_bounded_time_or_not_at_all() -> None:
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    started = time.process_time()
    for bits in (16_384, 16_392, 65_536):
        assert not signature.verifies(big_key(bits, 65537), algorithm, b"x", b"\1" * (bits // 8))
    huge_exponent = big_key(4096, (1 << 64) - 1)
    assert not signature.verifies(huge_exponent, algorithm, b"x", b"\1" * 512)
    assert time.process_time() - started < 1.0


def test_many_certificates_and_large_ones_are_bounded() -> None:
    names = [f"a{number}.example" for number in range(3000)]
    wide = issue(HOST, MIDDLE, names=[*names, HOST])
    started = time.process_time()
    assert judge(wide, *[MIDDLE] * 500).valid
    huge = evaluate([LEAF.der + b"\0" * 1_000_000], HOST, roots=ROOTS, now=NOW)
    assert huge.reason is TrustReason.MALFORMED
    assert time.process_time() - started < 1.0


def test_an_odd_serial_is_accepted() -> None:
    der = LEAF.der
    serial = LEAF.cert.serial_number.to_bytes(20, "big")
    at = der.index(serial)
    negative = der[:at] + bytes([der[at] | 0x80]) + der[at + 1 :]
    assert judge_bytes(negative).reason is TrustReason.UNKNOWN_AUTHORITY
    assert judge_bytes(negative).named


def judge_bytes(der: bytes) -> Trust:
    return evaluate([der, MIDDLE.der], HOST, roots=ROOTS, now=NOW)

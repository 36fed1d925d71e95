"""What a collector takes from a probe's record, and what it computes itself."""

import base64
import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from collector.controls import Observation
from collector.evidence_check import CheckedEvidence, check
from probe.certificates.roots import Roots, pem_certificates
from probe.certificates.trust import evaluate
from probe.lab import pki
from probe.model import Authority, Control, Record, Tls, Trust
from tests.collector.harness import LISTED, VALID, fine, record

HOST = "listed.example"
NOW = datetime.now(UTC)
ROOT = pki.root("CN=Lab Root,O=Lab", now=NOW)
ROOTS = Roots(pem_certificates(ROOT.pem.decode()))
FORGER = pki.root("CN=Forger,O=Unknown", now=NOW)


def served(by: pki.CertificateAuthority, *names: str) -> tuple[bytes, ...]:
    """A chain as it is served, DER, leaf first."""
    return tuple(pem_certificates(pki.leaf(by, names or (HOST,), now=NOW).chain.decode()))


def digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def certs(chain: Sequence[bytes]) -> dict[str, str]:
    return {digest(der): base64.b64encode(der).decode() for der in chain}


def with_chain(chain: Sequence[bytes], trust: Trust, *, name: str = HOST) -> Record:
    """An honest record but for its handshake: this chain, of which this is claimed."""
    steps = tuple(
        replace(one, sni=name, chain=tuple(map(digest, chain)), trust=trust)
        if isinstance(one, Tls)
        else one
        for one in fine()
    )
    return record(LISTED, steps, certs=certs(chain))


def checked(made: Record, *observations: Observation) -> CheckedEvidence:
    issued = {one.id: one for one in observations}
    return check(made, issued, roots=ROOTS, at=time.time())


def trust_of(found: CheckedEvidence) -> Trust:
    (step,) = [one for one in found.record.steps if isinstance(one, Tls)]
    assert step.trust is not None
    return step.trust


def test_an_honest_chain_is_as_it_was_claimed() -> None:
    chain = served(ROOT)
    claim = evaluate(chain, HOST, roots=ROOTS, now=NOW)
    found = checked(with_chain(chain, claim))
    assert found.doubts == ()
    assert trust_of(found) == claim


def test_a_named_authority_needs_its_signature() -> None:
    authority = Authority(id="qaznet", kind="interception", proof="verified")
    lie = Trust(valid=False, issuer="CN=Qaznet Trust Network", authority=authority)
    without = checked(record(LISTED, with_chain((), lie).steps))
    assert trust_of(without).authority is None
    assert without.doubts == ("certificates",)
    other = checked(with_chain(served(FORGER), lie))
    assert trust_of(other).authority is None
    assert "Qaznet" not in trust_of(other).issuer


def test_a_certificate_under_a_false_hash_is_not_there() -> None:
    chain, other = served(ROOT), served(FORGER)
    made = with_chain(chain, VALID)
    swapped = dict(zip(made.certs, certs(other).values(), strict=True))
    assert checked(replace(made, certs=swapped)).doubts == ("certificates",)
    broken = dict.fromkeys(made.certs, "no base64!")
    assert checked(replace(made, certs=broken)).doubts == ("certificates",)


def test_a_chain_that_proves_less_than_claimed_accuses_nobody() -> None:
    found = checked(with_chain(served(FORGER), VALID))
    assert found.doubts == ("certificates",)
    assert trust_of(found) == VALID


def test_a_chain_that_proves_more_than_claimed_acquits() -> None:
    lie = Trust(valid=False, issuer_key="x", local=True)
    found = checked(with_chain(served(ROOT), lie))
    assert found.doubts == ()
    assert trust_of(found).valid
    assert trust_of(found).local is True


def test_a_harmless_name_in_the_hello_is_not_the_name_to_be_proven() -> None:
    claim = evaluate(served(ROOT), HOST, roots=ROOTS, now=NOW)
    found = checked(with_chain(served(ROOT), claim, name="harmless.example"))
    assert found.doubts == ()
    assert trust_of(found).named


def test_only_control_measurements_of_this_collector_count() -> None:
    true = Observation("0198", time.time() - 60, fine())
    forged = fine("forged.example")
    claimed = (Control(id="0198", age=0.0, steps=forged), Control(id="0199", age=0.0, steps=forged))
    chain = served(ROOT)
    claim = evaluate(chain, HOST, roots=ROOTS, now=NOW)
    made = replace(with_chain(chain, claim), control=claimed)
    found = checked(made, true)
    (only,) = found.record.control
    assert (only.id, only.steps) == ("0198", true.steps)
    assert -62 < only.age < -59
    assert found.doubts == ()


def test_without_roots_chains_are_left_as_they_are() -> None:
    made = with_chain((), VALID)
    found = check(made, {}, roots=None, at=time.time())
    assert found.doubts == ()
    assert trust_of(found) == VALID


def test_contradictions_are_doubts() -> None:
    steps = tuple(replace(one, elapsed=-1.0) if one.id == 1 else one for one in fine())
    found = check(record(LISTED, steps), {}, roots=None, at=time.time())
    assert found.doubts == ("times",)

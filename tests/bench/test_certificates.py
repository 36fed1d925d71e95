"""The field's chains: valid and as large as the web's."""

from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bench.field import plan as plans
from bench.field.certificates import certify
from bench.field.plan import Spec
from probe.certificates.roots import Roots
from probe.certificates.signature import verifies
from probe.certificates.trust import evaluate
from probe.reference_data import authorities

Chains = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("field")
    certify(plans.make(Spec(sites=60)), path)
    return path


@pytest.fixture(scope="module")
def chains(folder: Path) -> Chains:
    return {
        path.stem: [
            one.public_bytes(Encoding.DER)
            for one in x509.load_pem_x509_certificates(path.read_bytes())
        ]
        for path in folder.glob("site*.pem")
    }


def test_every_chain_proves_its_name(folder: Path, chains: Chains) -> None:
    roots = Roots.file(folder / "ca.pem")
    assert len(chains) == 60
    for name, chain in chains.items():
        assert evaluate(chain, f"www.{name}", roots=roots, now=datetime.now(UTC)).valid, name


def test_chains_are_as_large_as_the_webs(chains: Chains) -> None:
    sizes = [sum(map(len, chain)) for chain in chains.values()]
    assert 2000 < min(sizes) < 2400
    assert 2700 < mean(sizes) < 3600
    assert 4000 < max(sizes) < 6500
    assert {len(chain) for chain in chains.values()} == {2, 3}


def test_an_authority_is_compared_with_known_interceptors_once(
    folder: Path, chains: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def counting(spki: bytes, algorithm: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(spki)
        return verifies(spki, algorithm, message, signature)

    monkeypatch.setattr("probe.certificates.authority.verifies", counting)
    roots = Roots.file(folder / "ca.pem")
    for name, chain in chains.items():
        evaluate(chain, name, roots=roots, now=datetime.now(UTC))
    # Twelve authorities and a cross-signed root, with keys as long as some interceptors'.
    assert len(asked) <= 14 * len(authorities())

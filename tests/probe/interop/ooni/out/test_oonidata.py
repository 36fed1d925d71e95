"""OONI's own library loads and processes every exported file.

oonidata 0.3.0 pins old libraries, so it has an environment of its own: `make oonidata` makes it.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from probe import codec
from probe.interop.ooni.out.bucket_files import writing_buckets
from probe.interop.ooni.out.exporting import OoniTally, converted
from probe.judge import judge
from probe.model import Record
from tests.build import GOOD, HOST, dns, fetched, page, record, tcp, tls
from tests.probe.interop.ooni.out.test_round_trip import CASES, PLACE

# In the project's environment; elsewhere if this says so.
PYTHON = Path(os.environ.get("OONIDATA_PYTHON", f"{sys.prefix}/oonidata/bin/python"))
READER = Path(__file__).with_name("oonidata_reader.py")


@pytest.fixture(scope="module", autouse=True)
def oonidata() -> None:
    """Skip where the library is not installed."""
    command = [str(PYTHON), "-c", "import oonidata"]
    if not PYTHON.exists() or subprocess.run(command, check=False).returncode:
        pytest.skip("oonidata 0.3.0 is not installed (make oonidata)")


def read(folder: Path, records: Iterable[Record]) -> dict[str, int]:
    """What the library found in an export of these records."""
    tally = OoniTally()
    with writing_buckets(folder / "out") as buckets:
        for one in records:
            made = converted(one, codec.encode(one), tally)
            assert made is not None
            buckets.add(made.bucket, made.text)
    files = [str(path) for path in (folder / "out").rglob("*.jsonl.gz")]
    done = subprocess.run(
        [PYTHON, READER, *files], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_every_golden_case(tmp_path: Path) -> None:
    placed = [replace(case.record, vantage=PLACE) for case in CASES.values()]
    found = read(tmp_path, [replace(one, verdict=judge(one)) for one in placed])
    kinds = ("WebConnectivity", "Signal", "Whatsapp", "FacebookMessenger", "Tor")
    assert sum(found[kind] for kind in kinds) == len(CASES)
    assert all(found[kind] for kind in kinds)
    for section in ("queries", "tcp_connect", "tls_handshakes", "requests"):
        assert found[section]


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    signed = dated.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def test_certificates_and_bodies(tmp_path: Path) -> None:
    der = certificate()
    sha256 = hashlib.sha256(der).hexdigest()
    forged = page(proven=False, body=base64.b64encode(b"<title>\xff</title>").decode())
    steps = (dns(GOOD), tcp(), tls(chain=(sha256,)), forged, *fetched("2001:db8::1"))
    certs = {sha256: base64.b64encode(der).decode()}
    found = read(tmp_path, [record(*steps, certs=certs, vantage=PLACE)])
    assert (found["certificates"], found["requests"], found["tls_handshakes"]) == (1, 2, 2)

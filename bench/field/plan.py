"""What stands in the field: names, addresses, certificates and pages, all from one seed.

Half of the leaves and half of the authorities use RSA, as on the web; each site has a leaf of its
own, so that no chain is ever seen twice. Pages are HTML whose compressed sizes are log-normal.
"""

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = "95.57.64.10"
GATEWAY = "95.57.64.1"
SYSTEM_RESOLVER = "92.46.190.53"
PUBLIC_RESOLVERS = {
    "8.8.8.8": "dns.google",
    "1.1.1.1": "cloudflare-dns.com",
    "9.9.9.9": "dns.quad9.net",
    "77.88.8.8": "dns.yandex.ru",
}
SITES = "45.130.0.0/16"
_FIRST = int(IPv4Address("45.130.1.1"))
# What the censor looks for in a ClientHello; no other name has it.
MARK = "-shut"
ANCHORS = tuple(f"www.anchor{number}.example" for number in range(6))
_SITES_A_SHARED_ADDRESS = 40
_PAGES = 64
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_TOPS = ("com", "org", "net", "kz", "info")
_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Spec:
    """One field.

    Attributes:
        sites: How many. plain: share over http. redirecting: share that lead to their `www.`.
        shared: Share that live behind a few addresses. blocked: share whose ClientHello is dropped.
        round_trip: Seconds. rate: bits a second each way. loss: share of packets.
        page: Median bytes of a page as it is sent.
    """

    sites: int = 2300
    plain: float = 0.06
    redirecting: float = 0.15
    shared: float = 0.25
    blocked: float = 0.0
    round_trip: float = 0.1
    rate: float = 20e6
    loss: float = 0.0
    page: int = 25_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """One site."""

    name: str
    address: str
    secure: bool = True
    redirecting: bool = False
    h2: bool = True
    compressed: bool = True
    page: int = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.name}/"

    @property
    def blocked(self) -> bool:
        return MARK in self.name


@dataclass(frozen=True, slots=True)
class Page:
    """One page, plain and compressed."""

    plain: bytes
    packed: bytes


@dataclass(frozen=True)
class Field:
    """Everything that servers need to know; their certificates are files in a folder."""

    spec: Spec
    sites: tuple[Site, ...]
    pages: tuple[Page, ...]
    by_name: dict[str, Site] = field(default_factory=dict)


def make(spec: Spec) -> Field:
    """Draw the sites and the pages."""
    rng = random.Random(spec.seed)
    sites = [
        *_drawn(spec, rng),
        *(Site(name, _address(60_000 + number)) for number, name in enumerate(ANCHORS)),
    ]
    by_name = {site.name: site for site in sites}
    by_name |= {f"www.{site.name}": site for site in sites}
    return Field(spec, tuple(sites), _pages(spec, rng), by_name)


def _drawn(spec: Spec, rng: random.Random) -> Iterator[Site]:
    for number in range(spec.sites):
        secure = rng.random() >= spec.plain
        mark = MARK if secure and rng.random() < spec.blocked else ""
        shared = rng.random() < spec.shared
        place = 50_000 + number // _SITES_A_SHARED_ADDRESS if shared else number
        yield Site(
            name=f"site{number:04}{mark}.{rng.choice(_TOPS)}",
            address=_address(place),
            secure=secure,
            redirecting=secure and rng.random() < spec.redirecting,
            h2=rng.random() < 0.7,
            compressed=rng.random() < 0.9,
            page=rng.randrange(_PAGES),
        )


def _address(number: int) -> str:
    return str(IPv4Address(_FIRST + number))


def _pages(spec: Spec, rng: random.Random) -> tuple[Page, ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(6000)]
    made = []
    for number in range(_PAGES):
        wanted = min(rng.lognormvariate(0, 1.0) * spec.page, 400_000)
        html = [f"<html><head><title>Page {number}</title><style>p{{color:#222}}</style></head>"]
        size = 0
        while size < wanted * 2.4:  # what such a page is compressed by
            text = " ".join(rng.choices(words, k=24))
            link = f"<a href='https://www.{rng.choice(words)}.com/x'>more</a>"
            html.append(f'<div class="story"><p class="text">{text}</p>{link}</div>\n')
            size += len(html[-1])
        plain = "".join([*html, "</html>"]).encode()
        made.append(Page(plain, gzip.compress(plain, 6)))
    return tuple(made)


# --- certificates ----------------------------------------------------------------------------


def certify(plan: Field, folder: Path) -> None:
    """Write a chain and key for every name into `folder`, and the roots into `ca.pem`."""
    now = datetime.now(UTC)
    root_key, leaf_rsa, leaf_ec = _rsa(), _rsa(), ec.generate_private_key(ec.SECP256R1())
    root = _signed("Field Root", None, root_key.public_key(), root_key, now=now, authority=True)
    (folder / "ca.pem").write_bytes(_pem(root))
    makers: list[tuple[x509.Certificate, _Key]] = []
    for number in range(12):
        key: _Key = _rsa() if number % 2 else ec.generate_private_key(ec.SECP256R1())
        maker = _signed(
            f"Field CA {number}", root, key.public_key(), root_key, now=now, authority=True
        )
        makers.append((maker, key))
    names = [
        *((s.name, f"www.{s.name}") for s in plan.sites),
        *((n,) for n in PUBLIC_RESOLVERS.values()),
    ]
    names.append(("nobody.invalid",))
    for number, alternatives in enumerate(names):
        maker, key = makers[number % len(makers)]
        own: _Key = leaf_rsa if number % 3 == 0 else leaf_ec
        leaf = _signed(alternatives[0], maker, own.public_key(), key, now=now, names=alternatives)
        (folder / f"{alternatives[0]}.pem").write_bytes(_private(own) + _pem(leaf) + _pem(maker))


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _private(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _signed(
    subject: str,
    issuer: x509.Certificate | None,
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    key: _Key,
    *,
    now: datetime,
    authority: bool = False,
    names: tuple[str, ...] = (),
) -> x509.Certificate:
    """A certificate about as large as the web's."""
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    days = 3000 if authority else 60
    builder = x509.CertificateBuilder(
        subject_name=own,
        issuer_name=issuer.subject if issuer else own,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=30),
        not_valid_after=now + timedelta(days=days),
    )
    constraints = x509.BasicConstraints(ca=authority, path_length=None)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public), critical=False
    )
    above = key.public_key()
    pointer = x509.AuthorityKeyIdentifier.from_issuer_public_key(above)
    builder = builder.add_extension(pointer, critical=False)
    if names:
        general = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(general, critical=False)
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(purpose, critical=False)
        logs = random.Random(subject).randbytes(242)  # two timestamps' worth of octets
        listed = x509.UnrecognizedExtension(_SCT_LIST, b"\x04\x81\xf2" + logs)
        builder = builder.add_extension(listed, critical=False)
    return builder.sign(key, SHA256())

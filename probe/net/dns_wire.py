"""Read replies with dnspython; EDNS(0) and what it carries.

A query (`dns_usual.query`) has an OPT record (RFC 6891), so that a resolver can say why it denies a
name (Extended DNS Errors, RFC 8914), and the AD bit, so that it says whether it validated the
answer. It does not ask for signatures: they would multiply the bytes. The case of a name is not
varied (`0x20`): a device on the path may compare names as they are written, and a browser writes
them in lower case.

Nearly all replies are read by `dns_usual.read_usual`, in a tenth of the time. What dnspython does
not read, or reads only in part, `dns_message.parse` reads.
"""

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from probe.model import Edns, ExtendedError
from probe.net.dns_message import MOST_RECORDS, TYPES, Message, parse, text
from probe.net.dns_usual import nsid_text, read_usual

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rrset

MOST_ERRORS = 4
TEXT_LIMIT = 160
# Format error, not implemented, bad version: some copy our OPT record into such a reply.
_NEVER_ABOUT_A_NAME = frozenset({1, 4, 16})


def read(wire: bytes) -> Message | None:
    """Parse a message; None if it is shorter than a header."""
    return read_usual(wire) or read_any(wire)


def read_any(wire: bytes) -> Message | None:
    """Parse any message with dnspython, and with the lenient parser what it does not read."""
    strict = _strict(wire)
    found = None if strict is None else _converted(strict)
    if found is not None:
        return found
    lenient = parse(wire)
    if lenient is None or strict is None:
        return lenient

    return replace(lenient, edns=_edns(strict))


def fails_on_edns(message: Message) -> bool:
    """Whether a reply to a query with an OPT record may be a failure on that record itself.

    A server that knows EDNS puts an OPT record in each reply. One that does not may answer rightly,
    or with any code: it may have misread the query.
    """
    unknown = message.edns is None and not message.types and not message.truncated
    return unknown or message.rcode in _NEVER_ABOUT_A_NAME


def _strict(wire: bytes) -> "dns.message.Message | None":
    import dns.message

    try:
        return dns.message.from_wire(
            wire, one_rr_per_rrset=True, ignore_trailing=True, continue_on_error=True
        )
    except Exception:  # noqa: BLE001 - any bytes may arrive; the lenient parser reads them
        return None


def _converted(message: "dns.message.Message") -> Message | None:
    """The message as ours, or None if dnspython read it in part or in another way."""
    import dns.flags
    import dns.opcode
    import dns.rdataclass

    answer = message.answer[:MOST_RECORDS]
    if message.errors or message.opcode() != dns.opcode.QUERY or len(message.question) > 4:
        return None
    if any(one.rdclass != dns.rdataclass.IN or not one for one in answer):
        return None
    asked = message.question[0] if message.question else None
    addresses, cnames, alpn = _answers(answer)
    return Message(
        id=message.id,
        response=bool(message.flags & dns.flags.QR),
        truncated=bool(message.flags & dns.flags.TC),
        rcode=int(message.rcode()),
        name=None if asked is None else _plain(asked.name),
        type=None if asked is None else int(asked.rdtype),
        answers=tuple(address for address, _ in addresses),
        ttl=tuple(ttl for _, ttl in addresses),
        cnames=cnames,
        types=frozenset(int(one.rdtype) for one in answer),
        alpn=alpn,
        edns=_edns(message),
    )


def _answers(
    answer: "list[dns.rrset.RRset]",
) -> tuple[list[tuple[str, int]], tuple[str, ...], tuple[str, ...]]:
    """Addresses with their time to live, aliases, and protocols of service records."""
    addresses: list[tuple[str, int]] = []
    cnames: list[str] = []
    alpn: dict[str, None] = {}
    for one in answer:
        data: Any = one[0]
        if one.rdtype in {TYPES["A"], TYPES["AAAA"]}:
            addresses.append((data.address, max(0, one.ttl)))
        elif one.rdtype == TYPES["CNAME"]:
            cnames.append(_plain(data.target))
        elif one.rdtype in {TYPES["SVCB"], TYPES["HTTPS"]}:
            announced = data.params.get(1)  # RFC 9460 section 14.3.2: alpn
            alpn.update(dict.fromkeys(text(id_) for id_ in announced.ids) if announced else {})
    return addresses, tuple(cnames), tuple(alpn)


def _plain(name: "dns.name.Name") -> str:
    return ".".join(text(label) for label in name.labels if label)


def _edns(message: "dns.message.Message") -> Edns | None:
    """What the OPT record says; None without one."""
    import dns.edns
    import dns.flags

    if message.edns < 0:
        return None
    errors = [one for one in message.options if isinstance(one, dns.edns.EDEOption)]
    nsid = next((one for one in message.options if isinstance(one, dns.edns.NSIDOption)), None)
    return Edns(
        authenticated=bool(message.flags & dns.flags.AD),
        errors=tuple(
            ExtendedError(code=int(one.code), text=_printable(one.text or "")[:TEXT_LIMIT])
            for one in errors[:MOST_ERRORS]
        ),
        nsid=None if nsid is None else nsid_text(nsid.nsid),
    )


def _printable(said: str) -> str:
    return "".join(c if c.isprintable() else " " for c in said)

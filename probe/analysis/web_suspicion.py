"""What the steps of a web measurement leave open, hop by hop.

`probe/experiments/web.py` measures again, and more, where one of these predicates holds.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from probe.analysis import silence_place
from probe.analysis.blockpage_text import reads_like_blockpage
from probe.analysis.evidence import of_the_site
from probe.analysis.slowness import came_whole
from probe.compare import (
    host_of,
    incompatible,
    is_broken_redirect,
    is_unanswered,
    port_of,
    same_issuer,
    same_site,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Control, Dns, Http, Role, Step, Steps, Tcp, Tls
from probe.redirects import REDIRECTS, is_followed


def next_url(page: Http | None) -> str | None:
    """The URL that a redirect leads to, when a browser would follow it."""
    if page is None or page.failure is not None or page.location is None:
        return None
    if page.status not in REDIRECTS or not host_of(page.location) or not port_of(page.location):
        return None
    return page.location if is_followed(page.location) else None


def leaves_site(page: Http) -> bool:
    """An unproven redirect to another registrable name."""
    return not page.proven and not same_site(host_of(page.url), host_of(page.location or ""))


def offered_name(step: Tls | Http) -> str | None:
    """The name that a handshake or a request was for."""
    return step.sni if isinstance(step, Tls) else step.host.partition(":")[0]


def control_addresses(controls: Sequence[Control], host: str) -> list[str]:
    """Addresses at which a control reached this host."""
    return [
        step.address
        for control in controls
        for step in control.steps
        if isinstance(step, Tls | Http) and step.failure is None
        if offered_name(step) == host and of_the_site(step)
    ]


# --- the whole record -------------------------------------------------------------------------


def needs_confirmation(steps: Steps) -> bool:
    """Anything but a proven page, reached over proven hops or within the site."""
    pages = [s for s in steps if isinstance(s, Http)]
    queries = [s for s in steps if isinstance(s, Dns)]
    if not pages or any(s.failure is not None for s in steps if not _unnoticed(s)):
        return True
    if any(incompatible(s.replies[0], r) for s in queries for r in s.replies[1:]):
        return True
    if _one_plain_answer_differs(queries):
        return True
    last = pages[-1]
    return (
        not _stays_on_site(pages)
        or not last.proven
        or not came_whole(last)
        or not 200 <= (last.status or 0) < 400
        or next_url(last) is not None
    )


def _unnoticed(step: Step) -> bool:
    """A failure that a browser would not notice: another resolver's, or of an AAAA query."""
    return isinstance(step, Dns) and (step.resolver != "system" or step.type != "A")


def _one_plain_answer_differs(queries: Sequence[Dns]) -> bool:
    """A public resolver's plain answer differs where the system's and an encrypted one agree.

    Large sites answer every resolver differently; they seldom agree with just one of two others.
    """
    asked = [s for s in queries if s.type == "A" and s.hop == 0]
    plain = [s for s in asked if s.resolver != "system" and s.transport == "udp" and s.replies]
    system = {a for s in asked if s.resolver == "system" for a in s.addresses}
    encrypted = {a for s in asked if s.transport in {"doh", "dot"} for a in s.addresses}
    agreed = system & encrypted
    return bool(agreed) and any(agreed.isdisjoint(s.addresses) for s in plain)


def _stays_on_site(pages: Sequence[Http]) -> bool:
    """Every unproven redirect stayed on its own host's registrable name."""
    plain = [p for p in pages[:-1] if not p.proven]
    return all(same_site(host_of(p.url), host_of(p.location or p.url)) for p in plain)


def line_is_silent(steps: Sequence[Step]) -> bool:
    """A reference site was tried and failed, and no query, handshake or request was answered."""
    references = [s for s in steps if s.role is Role.REFERENCE and isinstance(s, Tcp | Tls | Http)]
    if not references:
        return False
    answered = (bool(s.replies) for s in steps if isinstance(s, Dns))
    received = (s.bytes_in > 0 for s in steps if isinstance(s, Tls | Http))
    return not (any(answered) or any(received))


# --- one hop ----------------------------------------------------------------------------------


class HopView(Struct, frozen=True):
    """The steps of a record, seen from one hop of its redirect chain."""

    steps: Steps
    controls: tuple[Control, ...]
    url: str
    hop: int

    def at(self, address: str) -> list[Tcp | Tls | Http]:
        """What was sent to this address on this hop."""
        return [
            s
            for s in self.steps
            if isinstance(s, Tcp | Tls | Http) and s.address == address and s.hop == self.hop
            if not silence_place.ttl_of(s)
        ]

    def harmless_answered(self, address: str) -> bool:
        """A harmless name was answered at this address."""
        return any(
            isinstance(s, Tls | Http) and s.failure is None and s.role is Role.HARMLESS
            for s in self.at(address)
        )

    def refuses_connections(self, address: str) -> bool:
        """The target was tried there and did not connect: no name was offered that could matter."""
        tried = [s for s in self.at(address) if isinstance(s, Tcp)]
        return bool(tried) and all(s.failure is not None for s in tried)

    def hangs(self, address: str) -> bool:
        """A server there acknowledged the request and did not answer it in time."""
        own = [s for s in self.at(address) if s.role is Role.TARGET and isinstance(s, Http)]
        silent = [s for s in own if s.failure is Failure.TIMEOUT and s.status is None]
        return any(s.acknowledged for s in silent) and len(silent) == len(own)

    def waited(self, address: str, seconds: float) -> bool:
        """A silence there lasted that long."""
        silent = [s for s in self.at(address) if s.failure is Failure.TIMEOUT]
        return any(s.limit >= seconds for s in silent if s.role is Role.TARGET)

    def may_be_slow(self, address: str) -> bool:
        """The target's name met silence there, which a slow server would explain.

        No harmless name was answered there either, or the server acknowledged the request.
        """
        own = [s for s in self.at(address) if s.role is Role.TARGET]
        silent = [s for s in own if s.failure is Failure.TIMEOUT and not isinstance(s, Tcp)]
        if not silent:
            return False
        if any(type(s) is type(silent[-1]) and s.failure is None for s in own):
            return False
        return any(s.acknowledged for s in silent) or not self.harmless_answered(address)

    def is_silent_alone(self, address: str) -> bool:
        """This name met silence there each time, and a harmless one was answered there since.

        Not where the silence may be a slow server's, which only a longer look shows.
        """
        own = [s for s in self.at(address) if s.role is Role.TARGET and isinstance(s, Tls | Http)]
        if not own or any(s.failure is not Failure.TIMEOUT for s in own):
            return False
        return not self.may_be_slow(address) and self.differs_for_this_name()

    def was_offered_elsewhere(self) -> bool:
        """An unrelated server was offered this name."""
        return any(
            isinstance(s, Tls | Http) and s.role is Role.NEUTRAL and s.hop == self.hop
            for s in self.steps
        )

    def differs_for_this_name(self) -> bool:
        """The name alone failed, or was answered differently from a harmless one, at its address.

        The server may itself be broken for the name: an unrelated server shows whether it is.
        """
        strange = self._is_no_page() or self._differs_from_https()
        return self._untrusted_alone() or strange or self._fails_alone()

    def _fails_alone(self) -> bool:
        """This name failed each time after connecting; the harmless one right after it did not.

        Also where a control reached the host: the server may turn away this client alone. False
        where the address is punished for the name, as an unrelated server would be.
        """
        host, secure = host_of(self.url), self._secure
        kind = Tls if secure else Http
        seen = [s for s in self.steps if isinstance(s, kind) and s.hop == self.hop]
        own = [s for s in seen if isinstance(s, Tls) or s.url == self.url]
        mine = [s for s in own if s.role is Role.TARGET and offered_name(s) == host]
        if not mine or any(s.failure is None for s in mine):
            return False
        last = mine[-1]
        later = [s for s in own if s.role is Role.HARMLESS and s.at > last.at]
        return any(s.address == last.address and s.bytes_in > 0 for s in later)

    def fails_within_tls(self) -> bool:
        """Each request over TLS that proved the site failed before an answer began."""
        own = [s for s in self.steps if isinstance(s, Http) and s.hop == self.hop]
        mine = [s for s in own if s.role is Role.TARGET and s.url == self.url]
        return bool(mine) and all(s.proven and is_unanswered(s) for s in mine)

    def stopped_answering(self) -> bool:
        """This name failed at an address that connected, and that answers nothing since."""
        host, kind = host_of(self.url), Tls if self._secure else Http
        seen = [s for s in self.steps if isinstance(s, kind) and s.hop == self.hop]
        own = [s for s in seen if isinstance(s, Tls) or s.url == self.url]
        mine = [s for s in own if s.role is Role.TARGET and offered_name(s) == host]
        if not mine or any(s.failure is None for s in mine):
            return False
        later = [s for s in self.at(mine[-1].address) if s.at > mine[0].at]
        answered = [s for s in later if isinstance(s, kind) and s.at > mine[-1].at and s.bytes_in]
        return not answered and any(s.failure is not None for s in later if s not in mine)

    def _untrusted_alone(self) -> bool:
        """This name was shown an untrusted certificate, a harmless name one of another issuer."""
        if not self._secure:
            return False
        shaken = [s for s in self.steps if isinstance(s, Tls) and s.hop == self.hop and s.trust]
        host = host_of(self.url)
        mine = [s for s in shaken if s.role is Role.TARGET and s.sni == host]
        if not mine or any(s.trust is not None and s.trust.anchored for s in mine):
            return False
        last = mine[-1]
        others = [s for s in shaken if s.role is Role.HARMLESS and s.address == last.address]
        return not any(same_issuer(s.trust, last.trust) for s in others)

    def _is_no_page(self) -> bool:
        """Everything that came over plain http is malformed, leaves the site or is a notice."""
        if self._secure:
            return False
        own = [s for s in self.steps if isinstance(s, Http) and s.role is Role.TARGET]
        pages = [s for s in own if s.url == self.url and (s.malformed or s.status is not None)]
        return bool(pages) and all(
            s.malformed or leaves_site(s) or is_broken_redirect(s) or reads_like_blockpage(s)
            for s in pages
        )

    def _differs_from_https(self) -> bool:
        """The page over plain http is another than the host's over proven TLS."""
        if self._secure:
            return False
        own = [s for s in self.steps if isinstance(s, Http) and s.role is Role.TARGET]
        proven = [s for s in own if s.proven and host_of(s.url) == host_of(self.url)]
        good = [s for s in proven if s.failure is None and (s.status or 599) < 400]
        plain = [s for s in own if s.url == self.url and s.status == 200]
        return bool(good and plain) and not any(similar_pages(p, q) for p in plain for q in good)

    @property
    def _secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

"""Offer the target's name between harmless names at one address, so that only the name differs.

A failure of the target's name means something only where the harmless name was answered before and
after it: the address may be down, or punished for an earlier offer.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from probe.analysis import request_forms
from probe.experiments.interface import Net, Reference
from probe.experiments.operations import ClientHello, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Http, Role, Steps, Tls

F = TypeVar("F", bound=str)

# Sends one name, records the steps with this role and `try`, and returns them.
Offer = Callable[[str, Role, int], Awaitable[Steps]]


# Abroad, unknown, domestic.
_DISTANCE = (True, None, False)


async def interleave(
    offer: Offer,
    target: str,
    harmless: str | None,
    tries: Sequence[int] = (1,),
    *,
    last: int | None = None,
    role: Role = Role.TARGET,
    stop_unanswered: bool = False,
) -> bool:
    """Offer harmless, target, harmless, target, …, harmless: the target's name once for each try.

    Args:
        offer: How one name is offered.
        harmless: None: the target's name is offered alone.
        last: The `try` of the closing harmless name; by default that of the last target.
        role: The target's role in the record.
        stop_unanswered: Stop at the first harmless name that is not answered.

    Returns:
        Whether every harmless name was answered.
    """
    answered = True
    for try_ in tries:
        if harmless is not None:
            answered = _is_answered(await offer(harmless, Role.HARMLESS, try_)) and answered
            if stop_unanswered and not answered:
                return False
        await offer(target, role, try_)
    if harmless is not None:
        closing = tries[-1] if last is None else last
        answered = _is_answered(await offer(harmless, Role.HARMLESS, closing)) and answered
    return answered


async def offer_in_forms(
    forms: Iterable[F],
    offer_in: Callable[[F], Offer],
    *,
    usual: F,
    target: str,
    harmless: str | None,
    try_: int = 1,
) -> None:
    """Offer the target's name between harmless ones in each form, while the address answers.

    Where a harmless name is not answered in a form, it is offered in the usual form once more. If
    that is not answered either, the steps end: the address is blocked for a while, or dead.
    """
    for form in forms:
        answered = await interleave(offer_in(form), target, harmless, (try_,))
        if not answered and not await _still_answers(offer_in(usual), harmless, try_):
            return


async def _still_answers(offer: Offer, harmless: str | None, try_: int) -> bool:
    """Whether anything but silence or a break answers the harmless name; an alert is an answer."""
    return harmless is not None and any(
        (isinstance(s, Tls) and s.answered) or (isinstance(s, Http) and request_forms.answered(s))
        for s in await offer(harmless, Role.HARMLESS, try_)
    )


async def offer_elsewhere(
    references: Sequence[Reference],
    offer_at: Callable[[str], Offer],
    target: str,
    harmless: str,
) -> None:
    """Offer the target's name to an unrelated server, between two harmless ones.

    A server that does not answer the harmless names is passed over. A server abroad comes first, a
    domestic one last: it may stand before what is on the way to the target.
    """
    last_first = list(reversed(references))
    ordered = sorted(last_first, key=lambda one: _DISTANCE.index(one.foreign))
    for address in dict.fromkeys(one.address for one in ordered if one.address):
        offer = offer_at(address)
        if await interleave(offer, target, harmless, (2,), role=Role.NEUTRAL, stop_unanswered=True):
            return


def tls_offer(
    net: Net,
    log: StepLog,
    address: str,
    port: int,
    *,
    hello: ClientHello = "default",
    hop: int = 0,
) -> Offer:
    """Offers a name in one TLS handshake."""

    async def offer(name: str, role: Role, try_: int) -> Steps:
        steps = await net.tls(TlsHandshake(address, port, name, hello=hello))
        return log.chain(steps, role=role, hop=hop, try_=try_)

    return offer


def _is_answered(steps: Steps) -> bool:
    return any(isinstance(s, Tls | Http) and s.failure is None for s in steps)

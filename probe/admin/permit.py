"""What a command needs before it contacts anything, and what ends it: the volunteer's consent.

Its texts are read only where one is shown: a heartbeat every five minutes needs none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from probe import consent_record
from probe.config import Settings
from probe.consent_record import Consent
from probe.errors import UserError
from probe.paths import Home
from probe.permission import ConsentEnded, Lost, Permission, entered

if TYPE_CHECKING:
    from probe.admin.consent import ConsentText


def required(settings: Settings, home: Home) -> Consent | None:
    """Return the consent; `UserError` without one. None for a control, which needs none."""
    if settings.role == "control":
        return None
    given = consent_record.read(home.state)
    if given is None or not given.current:
        from probe.admin import consent

        raise UserError(consent.refusal(given, texts(settings)))
    return given


@contextmanager
def permitted(settings: Settings, home: Home, what: str) -> Iterator[Permission]:
    """Permit a command to measure or send while the consent stands.

    Args:
        what: The command, for an `erase` that waits for it.

    Raises:
        UserError: There is no consent, or it ended meanwhile.
    """
    given = required(settings, home)
    state = home.ready()
    with entered(state, what) as entry:
        permission = Permission(state, given.id if given is not None else None, entry)
        try:
            permission.check()
            yield permission
        except ConsentEnded as ended:
            raise UserError(_message(ended, texts(settings))) from None
        except Exception:
            # What fails because it was ended is no bug, and must write nothing more.
            if permission.stands:
                raise
            raise UserError(texts(settings).ended) from None


def texts(settings: Settings) -> "ConsentText":
    """Return the texts of consent in the configured language, else in the user's."""
    from probe.admin import consent

    return consent.text(consent.language(settings.language))


def _message(ended: ConsentEnded, text: "ConsentText") -> str:
    messages = {Lost.ROUND: text.discarded, Lost.UNSENT: text.unsent}
    return messages.get(ended.lost, text.ended)

"""Why a TLS connection to a collector was not trusted, in words for the user."""

import ssl

from probe.escape import plain
from probe.i18n import _

# X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED: a wrong local clock causes them too.
_DATE_CODES = frozenset({9, 10})


def distrust(cause: ssl.SSLCertVerificationError) -> str:
    """Return in words why the certificate was rejected."""
    code = getattr(cause, "verify_code", None)
    if code in _DATE_CODES:
        return _("its certificate is not valid now (is this machine's clock correct?)")
    if code is None:
        return _("its key differs from the pinned key: the connection may be intercepted")
    why = plain(cause.verify_message, 80)
    return _("its certificate is not trusted ({why}): the connection may be intercepted").format(
        why=why
    )


def causes(error: BaseException) -> list[BaseException]:
    """Return an exception and the chain of its causes and contexts."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found

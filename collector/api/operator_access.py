"""Who may see and use the operator's pages: bearers of the operator's token.

Rule: a browser keeps the token for this address only (HTTP's Basic scheme, where the name does not
matter), and would send it along with what another page makes it ask. So what changes something also
needs the proof that this collector wrote into its own forms, and no sign of another page.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from aiohttp import web

from collector import operator_token
from collector.api.http import Refused
from collector.service import SERVICE

# Forms of an earlier start are worth nothing.
FORM_KEY = web.AppKey("form_key", bytes)
_SCHEME = {"WWW-Authenticate": 'Basic realm="qazcollector: any name, the operator\'s token"'}
_FORM = "application/x-www-form-urlencoded"
_TOKEN_LIMIT = 1000


def new_form_key() -> bytes:
    """A secret for the forms of one collector, until it ends."""
    return secrets.token_bytes(32)


def check(request: web.Request) -> None:
    """Let the operator in.

    Raises:
        Refused: The token is missing or wrong, or this collector knows none.
    """
    known = request.app[SERVICE].operator_token
    if known is None:
        raise Refused(
            403, "token", "these pages need a token: start the collector with --operator-token-file"
        )
    given = _given(request.headers.get("Authorization", ""))
    if given is None or not operator_token.fits(given, known):
        raise Refused(401, "token", "the operator's token expected", headers=_SCHEME)


def proof(request: web.Request) -> str:
    """What forms of this collector contain; it does not tell the token."""
    known = request.app[SERVICE].operator_token or b""
    return hmac.digest(request.app[FORM_KEY], known, hashlib.sha256).hex()


def check_form(request: web.Request, given: str) -> None:
    """Let a form in that this collector wrote.

    Raises:
        Refused: It may be the form of another page.
    """
    if request.content_type != _FORM:
        raise Refused(415, "type", f"Content-Type {_FORM} expected")
    fits = hmac.compare_digest(given.encode("utf-8", "replace"), proof(request).encode())
    if not fits or not _is_own(request):
        raise Refused(403, "form", "this is no form of this collector's; load its page again")


def _is_own(request: web.Request) -> bool:
    """Whether no header says that another page sent a request."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site == "same-origin"
    # A browser that may not tell a page's address says "null".
    return origin in {None, "null"} or urlsplit(origin).netloc == request.host


def _given(header: str) -> str | None:
    """The token in a header, as browsers and as programs send it."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if len(value) > _TOKEN_LIMIT:
        return None
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        name_and_token = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return name_and_token.partition(":")[2]

"""Anonymous credentials of OONI's clients, where the library `ooniauth-py` is installed.

Rule: a credential shows that a client sent measurements before, and not who it is. Nothing of it is
stored, and it gives no vote. Without the library clients find no manifest and do without.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from collector.interop.ooni.messages import (
    MeasurementHead,
    SignCredential,
    Submission,
    SubmissionReply,
)

if TYPE_CHECKING:
    from ooniauth_py import ServerState

# Within these days a credential may have been given; any number of measurements is enough.
_DAYS = 3650
_LEAST = 0
_ANY = "*"
_SCOPE = "ooni.org/{probe_cc}/{probe_asn}"

log = logging.getLogger("qazcollector")


class CredentialRefused(ValueError):  # noqa: N818 - a response, not an error
    """A credential cannot be given; the message is one line."""


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    public: str
    secret: str
    made_day: int


class CredentialAuthority:
    """Gives credentials, and checks what is submitted with them."""

    def __init__(self, state: "ServerState", secrets: _Secrets, protocol: str) -> None:
        self._state = state
        self._secrets = secrets
        self._protocol = protocol
        self.version = hashlib.sha256(secrets.public.encode()).hexdigest()[:16]

    @property
    def manifest(self) -> dict[str, Any]:
        """What clients must know to ask for a credential and to use it."""
        everywhere = {"probe_cc": _ANY, "probe_asn": _ANY}
        policy = {"age": list(self._age()), "min_measurement_count": _LEAST}
        return {
            "manifest": {
                "nym_scope": _SCOPE,
                "submission_policy": [{"match": everywhere, "policy": policy}],
                "public_parameters": self._secrets.public,
            },
            "meta": {
                "version": self.version,
                "last_modification_date": "",
                "manifest_url": "",
                "library_version": self._protocol,
                "protocol_version": self._protocol,
            },
        }

    def sign(self, asked: SignCredential) -> dict[str, Any]:
        """Give a credential.

        Raises:
            CredentialRefused: The request does not fit.
        """
        if asked.manifest_version != self.version:
            raise CredentialRefused("the manifest has another version now; fetch it again")
        try:
            with _failures_told("given"):
                signed = self._state.handle_registration_request(asked.credential_sign_request)
        except CredentialRefused as error:
            raise CredentialRefused("credential_sign_request is not understood") from error
        return {"credential_sign_response": signed, "emission_day": self._state.today()}

    def verify(self, message: Submission, head: MeasurementHead) -> SubmissionReply:
        """What a submission's credential is worth, with the client's next one."""
        failed = SubmissionReply(verification_status="failed", protocol_version=self._protocol)
        if message.manifest_version != self.version:
            return replace(failed, error="manifest_version_mismatch")
        try:
            with _failures_told("verified"):
                next_one = self._state.handle_submit_request_with_hash(
                    message.nym or "",
                    message.zkp_request or "",
                    head.probe_cc,
                    head.probe_asn,
                    message.content,
                    self._age(),
                    _LEAST,
                )
        except CredentialRefused:
            return replace(failed, error="verification_failed")
        return replace(failed, verification_status="verified", submit_response=next_one)

    def _age(self) -> tuple[int, int]:
        """The days on which a credential may have been given; the last one is tomorrow."""
        return self._secrets.made_day - _DAYS, self._secrets.made_day + _DAYS


@contextmanager
def _failures_told(done: str) -> Iterator[None]:
    """Make one kind of what the library raises; its panics are no `Exception`, nor importable.

    Raises:
        CredentialRefused: The library does not take what a client sent.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        log.info("a credential was not %s: %s", done, type(error).__name__)
        raise CredentialRefused("not understood") from error


def authority(file: Path | None) -> CredentialAuthority | None:
    """The authority of this collector, whose secret is in a file; None without the library."""
    try:
        import ooniauth_py
    except ModuleNotFoundError:
        return None
    secrets = None if file is None else _read(file)
    if secrets is None:
        made = ooniauth_py.ServerState()
        secrets = _Secrets(
            public=made.get_public_parameters(),
            secret=made.get_secret_key(),
            made_day=made.today(),
        )
        if file is not None:
            _write(file, secrets)
    state = ooniauth_py.ServerState.from_creds(secrets.public, secrets.secret)
    return CredentialAuthority(state, secrets, ooniauth_py.get_protocol_version())


def _read(file: Path) -> _Secrets | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Secrets)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write(file: Path, secrets: _Secrets) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(msgspec.json.encode(secrets))

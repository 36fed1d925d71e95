"""What OONI's clients send and are sent, as far as they read it.

Rule: what a client sends is bounded and checked here; members that are not read are passed over,
because each version of the clients has others.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from probe import bounds

# A measurement as its client wrote it, and the request around it: quotes of a text are escaped.
MEASUREMENT_BYTES = 1_000_000
BODY_BYTES = 2_500_000

# Neither an unknown country nor the network 0 is accepted: such a measurement is of nowhere.
CountryCode: TypeAlias = Annotated[str, Meta(pattern=r"^(?!ZZ)[A-Z0-9]{2}$(?!\n)")]
NetworkNumber: TypeAlias = Annotated[str, Meta(pattern=r"^AS[1-9][0-9]{0,9}$(?!\n)")]
TestName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,29}$(?!\n)")]
WholeSecond: TypeAlias = Annotated[
    str, Meta(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$(?!\n)")
]
CategoryCode: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{2,5}$(?!\n)")]
Certificate: TypeAlias = Annotated[str, Meta(max_length=32 * 1024)]


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a client; unknown members are passed over."""


class CategoryWish(ClientMessage, frozen=True, kw_only=True):
    """Which categories a client wants; none are all."""

    category_codes: bounds.Few[CategoryCode] | None = None


class CheckIn(ClientMessage, frozen=True, kw_only=True):
    """POST /api/v1/check-in: what a client says of itself before it measures."""

    probe_cc: Annotated[str, Meta(pattern=r"^[A-Z0-9]{2}$(?!\n)")] = "ZZ"
    probe_asn: Annotated[str, Meta(pattern=r"^AS[0-9]{1,10}$(?!\n)")] = "AS0"
    charging: bool = False
    on_wifi: bool = False
    platform: bounds.Word = ""
    run_type: Literal["timed", "manual"] = "timed"
    software_name: bounds.Word = ""
    software_version: bounds.Word = ""
    web_connectivity: CategoryWish | None = None


class OpenReport(ClientMessage, frozen=True, kw_only=True):
    """POST /report: a client begins to send the measurements of one test."""

    format: Literal["json"] = "json"
    data_format_version: bounds.Word = "0.2.0"
    probe_asn: NetworkNumber
    probe_cc: CountryCode
    software_name: bounds.Word
    software_version: bounds.Word
    test_name: TestName
    test_start_time: bounds.Word = ""
    test_version: bounds.Word


class Update(ClientMessage, frozen=True, kw_only=True):
    """POST /report/{id}: one measurement, as an object."""

    format: Literal["json"]
    content: msgspec.Raw


class Submission(ClientMessage, frozen=True, kw_only=True):
    """POST /api/v1/submit_measurement: one measurement, as JSON in a text.

    Without a credential the last four members are null.
    """

    format: Literal["json"]
    content: str
    nym: Certificate | None = None
    zkp_request: Certificate | None = None
    manifest_version: bounds.Word | None = None
    protocol_version: bounds.Word | None = None


class SignCredential(ClientMessage, frozen=True, kw_only=True):
    """POST /api/v1/sign_credential: a client asks for an anonymous credential."""

    manifest_version: bounds.Word
    credential_sign_request: Certificate


class MeasurementHead(ClientMessage, frozen=True, kw_only=True):
    """What every measurement says of itself."""

    probe_asn: NetworkNumber
    probe_cc: CountryCode
    software_name: bounds.Word
    software_version: bounds.Word
    test_name: TestName
    test_version: bounds.Word
    measurement_start_time: WholeSecond
    test_start_time: WholeSecond
    test_keys: msgspec.Raw


class LoginRequest(ClientMessage, frozen=True, kw_only=True):
    """POST /api/v1/register and /api/v1/login: old clients ask for a name and a token."""

    probe_cc: bounds.Word = ""
    username: bounds.Text = ""
    password: bounds.Text = ""


class TestHelper(msgspec.Struct, frozen=True, kw_only=True):
    """One test helper: where it is, and how it is reached."""

    address: str
    type: Literal["https", "legacy", "cloudfront"] = "https"


class HelperRequest(ClientMessage, frozen=True, kw_only=True):
    """What a client asks a test helper."""

    http_request: bounds.Url
    http_request_headers: dict[bounds.Text, bounds.Few[bounds.Url]] | None = None
    tcp_connect: bounds.Some[bounds.Name] | None = None
    x_quic_enabled: bool = False


class SubmissionReply(msgspec.Struct, frozen=True, kw_only=True):
    """That a measurement was taken, and its name."""

    measurement_uid: str | None = None
    verification_status: Literal["verified", "failed", "unverified"] = "unverified"
    submit_response: str | None = None
    protocol_version: str | None = None
    error: str | None = None
    report_id: str | None = None


class UpdateReply(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a measurement that was taken."""

    measurement_uid: str


class OpenReply(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a report, and what it may consist of."""

    backend_version: str
    report_id: str
    supported_formats: tuple[str, ...] = ("json",)

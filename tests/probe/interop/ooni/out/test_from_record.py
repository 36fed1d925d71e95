"""Each section of a measurement, as OONI's format has it, and what is refused."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.interop.ooni.out.from_record import (
    TESTS,
    OoniRefusal,
    identified,
    measurement,
)
from probe.model import (
    Authority,
    Dns,
    Mechanism,
    Outcome,
    Ping,
    Quic,
    Record,
    Reply,
    Role,
    Step,
    Travel,
    Trust,
    TrustReason,
    Vantage,
    Verdict,
)
from tests.build import (
    EXPIRED,
    FORGED,
    GOOD,
    HOST,
    PLAIN,
    URL,
    VALID,
    again,
    control,
    dns,
    doh,
    fetched,
    harmless,
    nxdomain,
    page,
    record as built,
    reference,
    tcp,
    tls,
)

PLACE = Vantage(
    country="KZ",
    asn=9198,
    network="JSC Kazakhtelecom",
    kind="mobile",
    platform="Linux",
    version="1.2",
)
EMPTY_FAMILY = dns(failure=Failure.DNS_NO_ANSWER, type="AAAA")


def blocked(*mechanisms: Mechanism) -> Verdict:
    return Verdict(outcome=Outcome.BLOCKED, mechanisms=mechanisms)


def record(*steps: Step, **more: object) -> Record:
    return built(*steps, **{"vantage": PLACE, **more})  # type: ignore[arg-type]


def keys_of(*steps: Step, **more: object) -> dict[str, Any]:
    found: dict[str, Any] = measurement(record(*steps, **more))["test_keys"]
    return found


# --- base fields -------------------------------------------------------------------------------


def test_the_base_fields() -> None:
    found = measurement(record(*fetched(), resolver_asn=9198))
    assert {key: value for key, value in found.items() if key != "test_keys"} == {
        "annotations": {
            "network_type": "mobile",
            "platform": "linux",
            "qazprobe_id": "00000000-0000-7000-8000-000000000001",
            "qazprobe_run": "00000000-0000-7000-8000-000000000000",
        },
        "data_format_version": "0.2.0",
        "extensions": {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0},
        "input": URL,
        "measurement_start_time": "2026-11-21 21:39:05",
        "probe_asn": "AS9198",
        "probe_cc": "KZ",
        "probe_ip": "127.0.0.1",
        "probe_network_name": "JSC Kazakhtelecom",
        "report_id": "",
        "resolver_asn": "AS9198",
        "resolver_ip": "[scrubbed]",
        "resolver_network_name": "",
        "software_name": "qazprobe",
        "software_version": "1.2",
        "test_name": "web_connectivity",
        "test_runtime": 3.0,
        "test_start_time": "2026-11-21 21:39:05",
        "test_version": "0.5.28",
    }


def test_a_time_with_an_offset_is_written_in_utc() -> None:
    found = measurement(record(*fetched(), started_at="2026-11-22T02:39:05.9+05:00"))
    assert found["measurement_start_time"] == "2026-11-21 21:39:05"


def test_a_country_in_small_letters_is_one() -> None:
    found = measurement(record(*fetched(), vantage=replace(PLACE, country="kz")))
    assert found["probe_cc"] == "KZ"


def test_a_resolver_of_an_unknown_network_is_as0() -> None:
    assert measurement(record(*fetched()))["resolver_asn"] == "AS0"


def test_the_id_is_made_of_time_place_and_bytes() -> None:
    found = measurement(record(*fetched()))
    uid = identified(found)["measurement_uid"]
    assert re.fullmatch(r"20261121213905\.000000_KZ_webconnectivity_[0-9a-f]{16}", uid)
    assert identified(found)["measurement_uid"] == uid
    assert identified(measurement(record(*fetched(), elapsed=4.0)))["measurement_uid"] != uid


def test_a_record_of_a_lab_says_so() -> None:
    assert measurement(record(*fetched(), lab=True))["annotations"]["qazprobe_lab"] == "true"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vantage": replace(PLACE, country=None)}, "ZZ: its country is not known"),
        ({"vantage": replace(PLACE, country="ZZ")}, "ZZ: its country is not known"),
        ({"vantage": replace(PLACE, country="Kazakhstan")}, "ZZ: its country is not known"),
        ({"vantage": replace(PLACE, asn=None)}, "AS0: its network is not known"),
        ({"vantage": replace(PLACE, asn=0)}, "AS0: its network is not known"),
        (
            {"vantage": replace(PLACE, role="control")},
            "made by a control machine, on an uncensored network",
        ),
        ({"experiment": "throttle"}, "throttle: OONI has no experiment of this meaning"),
        ({"experiment": "telegram"}, "telegram: OONI has no experiment of this meaning"),
        ({"started_at": "2026-13-45T99:00:00Z"}, "its time is no time"),
    ],
)
def test_what_is_refused_and_why(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(OoniRefusal, match=re.escape(reason)):
        measurement(record(*fetched(), **changes))


def test_five_experiments_have_a_counterpart() -> None:
    assert {name: test.name for name, test in TESTS.items()} == {
        "web": "web_connectivity",
        "whatsapp": "whatsapp",
        "signal": "signal",
        "messenger": "facebook_messenger",
        "tor": "tor",
    }


# --- queries -----------------------------------------------------------------------------------


def test_a_query_with_its_first_reply_and_the_later_ones_beside_it() -> None:
    forged = Reply(at=0.01, rcode=0, answers=("10.0.0.1",), ttl=(60,))
    true = Reply(at=0.2, rcode=0, answers=(GOOD,), cnames=("alias.example",), ttl=(300,))
    keys = keys_of(replace(dns(), replies=(forged, true)))
    assert keys["queries"] == [
        {
            "engine": "system",
            "resolver_address": "",
            "resolver_hostname": None,
            "resolver_port": None,
            "hostname": HOST,
            "query_type": "A",
            "failure": None,
            "rcode": 0,
            "answers": [
                {"answer_type": "A", "hostname": HOST, "ipv4": "10.0.0.1", "ttl": 60},
            ],
            "t0": 1.0,
            "t": 1.01,
            "tags": ["depth=0"],
            "transaction_id": 1,
        }
    ]
    (later,) = keys["x_dns_duplicate_responses"]
    assert later["answers"] == [
        {"answer_type": "CNAME", "hostname": "alias.example", "ttl": None},
        {"answer_type": "A", "hostname": HOST, "ipv4": GOOD, "ttl": 300},
    ]
    assert (later["t"], later["transaction_id"]) == (1.2, 1)


@pytest.mark.parametrize(
    ("rcode", "failure"),
    [
        (0, "dns_no_answer"),
        (2, "dns_servfail_error"),
        (3, "dns_nxdomain_error"),
        (5, "dns_refused_error"),
        (9, "dns_server_misbehaving"),
    ],
)
def test_a_later_reply_that_denies_the_name(rcode: int, failure: str) -> None:
    first = Reply(at=0.01, rcode=0, answers=(GOOD,))
    keys = keys_of(replace(dns(), replies=(first, Reply(at=0.2, rcode=rcode))))
    assert keys["x_dns_duplicate_responses"][0]["failure"] == failure


def test_engines_and_addresses_of_resolvers() -> None:
    steps = (
        dns(GOOD),
        dns(GOOD, resolver="9.9.9.9"),
        dns(GOOD, resolver="9.9.9.9", transport="tcp"),
        dns(GOOD, resolver="2001:db8::9", transport="dot"),
        doh(GOOD),
    )
    assert [(q["engine"], q["resolver_address"]) for q in keys_of(*steps)["queries"]] == [
        ("system", ""),
        ("udp", "9.9.9.9:53"),
        ("tcp", "9.9.9.9:53"),
        ("dot", "[2001:db8::9]:853"),
        ("doh", "https://1.1.1.1/dns-query"),
    ]


def test_a_failed_query_has_its_word_and_rcode() -> None:
    (query,) = keys_of(nxdomain())["queries"]
    assert (query["failure"], query["rcode"], query["answers"]) == ("dns_nxdomain_error", 3, [])


@pytest.mark.parametrize("steps", [(dns(GOOD), EMPTY_FAMILY), (EMPTY_FAMILY, dns(GOOD))])
def test_an_empty_family_is_left_out_where_the_other_was_answered(steps: Sequence[Step]) -> None:
    assert [query["query_type"] for query in keys_of(*steps)["queries"]] == ["A"]


def test_an_empty_family_stays_where_nothing_was_answered() -> None:
    both = keys_of(dns(failure=Failure.DNS_NO_ANSWER), EMPTY_FAMILY)["queries"]
    assert [query["failure"] for query in both] == ["dns_no_answer"] * 2


def test_a_denied_family_stays_where_the_verdict_rests_on_it() -> None:
    steps = (nxdomain(), dns("2001:db8::1", type="AAAA"))
    accused = keys_of(*steps, verdict=blocked(Mechanism.DNS_NXDOMAIN))["queries"]
    assert [query["failure"] for query in accused] == ["dns_nxdomain_error", None]
    assert [query["failure"] for query in keys_of(*steps)["queries"]] == [None]


def test_another_resolver_s_answer_does_not_hide_an_empty_family() -> None:
    kept = keys_of(doh(GOOD), EMPTY_FAMILY)["queries"]
    assert [query["engine"] for query in kept] == ["doh", "system"]


# --- connections -------------------------------------------------------------------------------


def test_one_connection_is_one_transaction() -> None:
    other = (tcp("192.0.2.7"), tls("192.0.2.7"))
    keys = keys_of(dns(GOOD), *fetched(), *other)
    numbers = {
        name: [one["transaction_id"] for one in keys[name]]
        for name in ("queries", "tcp_connect", "tls_handshakes", "requests")
    }
    assert numbers == {
        "queries": [1],
        "tcp_connect": [2, 3],
        "tls_handshakes": [2, 3],
        "requests": [2],
    }


def test_a_connection() -> None:
    (refused,) = keys_of(tcp("2001:db8::1", failure=Failure.REFUSED))["tcp_connect"]
    assert refused == {
        "ip": "2001:db8::1",
        "port": 443,
        "status": {"success": False, "failure": "connection_refused"},
        "t0": 1.0,
        "t": 1.05,
        "tags": ["depth=0"],
        "transaction_id": 1,
    }


def test_a_handshake() -> None:
    shaken = tls(
        version="TLSv1.2", cipher="ECDHE-RSA-AES128-GCM-SHA256", alpn="h2", chain=("aa", "bb")
    )
    (found,) = keys_of(tcp(), shaken, certs={"aa": "QUE=", "cc": "Q0M="})["tls_handshakes"]
    assert found == {
        "network": "tcp",
        "address": f"{GOOD}:443",
        "server_name": HOST,
        "tls_version": "TLSv1.2",
        "cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "negotiated_protocol": "h2",
        "peer_certificates": [{"format": "base64", "data": "QUE="}],
        "no_tls_verify": False,
        "failure": None,
        "t0": 2.0,
        "t": 2.1,
        "tags": ["depth=0"],
        "transaction_id": 1,
    }


@pytest.mark.parametrize(
    ("trust", "failure"),
    [
        (VALID, None),
        (None, None),
        (FORGED, "ssl_unknown_authority"),
        (EXPIRED, "ssl_invalid_certificate"),
        (Trust(valid=False, reason=TrustReason.HOSTNAME), "ssl_invalid_hostname"),
    ],
)
def test_what_a_chain_does_not_prove(trust: Trust | None, failure: str | None) -> None:
    assert keys_of(tcp(), tls(trust=trust))["tls_handshakes"][0]["failure"] == failure


def test_a_handshake_that_failed_keeps_its_own_failure() -> None:
    keys = keys_of(tcp(), tls(failure=Failure.RESET, trust=FORGED))
    assert keys["tls_handshakes"][0]["failure"] == "connection_reset"


def test_a_quic_handshake() -> None:
    step = Quic(address="2001:db8::1", port=443, sni=HOST, alpn="h3", trust=VALID)
    (found,) = keys_of(step)["quic_handshakes"]
    assert found["network"] == "udp"
    assert found["address"] == "[2001:db8::1]:443"
    assert (found["tls_version"], found["negotiated_protocol"]) == ("TLSv1.3", "h3")
    assert keys_of(step)["tcp_connect"] == []


# --- requests ----------------------------------------------------------------------------------


def test_requests_are_newest_first() -> None:
    there = page("https://site.example/next", hop=1)
    back = page(PLAIN, status=302, location="https://site.example/next")
    keys = keys_of(tcp(port=80), back, tcp(hop=1), tls(hop=1), there)
    newest, oldest = keys["requests"]
    assert newest["request"]["url"] == "https://site.example/next"
    assert (newest["tags"], oldest["tags"]) == (["depth=1"], ["depth=0"])
    assert oldest["response"]["headers"]["Location"] == newest["request"]["url"]
    assert ["Location", newest["request"]["url"]] in oldest["response"]["headers_list"]


def test_an_exchange() -> None:
    shown = page(headers={"content-type": "text/html"}, body="SGk=", proven=False, received_bytes=2)
    (found,) = keys_of(tcp(), tls(alpn="http/1.1"), shown)["requests"]
    assert found["network"] == "tcp"
    assert found["alpn"] == "http/1.1"
    assert found["request"] == {
        "url": URL,
        "method": "GET",
        "headers": {"Host": HOST},
        "headers_list": [["Host", HOST]],
        "body": "",
        "body_is_truncated": False,
        "tor": {"is_tor": False, "exit_ip": None, "exit_name": None},
        "x_transport": "tcp",
    }
    assert found["response"] == {
        "code": 200,
        "headers": {"Content-Type": "text/html"},
        "headers_list": [["Content-Type", "text/html"]],
        "body": "Hi",
        "body_is_truncated": False,
    }


def test_a_proven_page_has_no_body_and_says_so() -> None:
    response = keys_of(*fetched())["requests"][0]["response"]
    assert (response["body"], response["body_is_truncated"]) == ("", True)


def test_bytes_that_are_no_text() -> None:
    response = keys_of(tcp(port=80), page(PLAIN, body="/w=="))["requests"][0]["response"]
    assert response["body"] == {"format": "base64", "data": "/w=="}


def test_an_exchange_that_failed() -> None:
    (found,) = keys_of(tcp(), tls(), page(failure=Failure.TIMEOUT))["requests"]
    assert found["failure"] == "generic_timeout_error"
    assert found["response"]["code"] == 0
    assert found["response"]["body"] == ""


def test_a_page_behind_a_chain_that_proves_nothing_is_not_the_page() -> None:
    keys = keys_of(dns(GOOD), tcp(), tls(trust=FORGED), page(proven=False, body="SGk="))
    (found,) = keys["requests"]
    assert found["failure"] == keys["http_experiment_failure"] == "ssl_unknown_authority"
    assert found["response"]["body"] == "Hi"


def test_a_redirect_to_what_fails_is_no_page() -> None:
    back = page(PLAIN, status=302, location=URL)
    there = control(tcp(port=80), back, tcp(hop=1), tls(hop=1), page(hop=1))
    steps = (tcp(port=80), back, tcp(hop=1), tls(hop=1, failure=Failure.TIMEOUT))
    keys = keys_of(*steps, controls=(there,))
    assert keys["http_experiment_failure"] == "generic_timeout_error"
    assert keys["status_code_match"] is None


# --- what does not stand in the keys -----------------------------------------------------------


@pytest.mark.parametrize(
    "others",
    [
        (tcp(role=Role.HARMLESS), harmless(tls())),
        (reference(tcp()), reference(tls())),
        (dns(GOOD, name="other.example", role=Role.NEUTRAL),),
        (tcp(segment_limit=500), tls()),
        (tcp(), tls(hello="split")),
        (tcp(travel=Travel(ttl=5), failure=Failure.TIMEOUT),),
        (Dns(name=HOST, resolver="system", type="HTTPS"),),
        again(tcp(failure=Failure.TIMEOUT)),
    ],
)
def test_only_plain_first_steps_at_the_target(others: Sequence[Step]) -> None:
    alone = keys_of(dns(GOOD), tcp("192.0.2.8"))
    beside = keys_of(dns(GOOD), tcp("192.0.2.8"), *others)
    for name in ("queries", "tls_handshakes", "requests"):
        assert beside[name] == alone[name]
    wrong = {one["ip"] for one in beside["tcp_connect"]} - {"192.0.2.8"}
    assert wrong <= ({GOOD} if others[-1] == tls(hello="split") else set())


def test_what_worked_when_tried_again_stands_for_what_failed() -> None:
    steps = (tcp(failure=Failure.TIMEOUT), *again(*fetched()))
    calm = keys_of(*steps, verdict=Verdict(outcome=Outcome.OK))
    assert [one["status"]["success"] for one in calm["tcp_connect"]] == [True]
    accused = keys_of(*steps, verdict=blocked(Mechanism.TCP_TIMEOUT))
    assert [one["status"]["success"] for one in accused["tcp_connect"]] == [False]


def test_a_query_that_was_answered_when_tried_again() -> None:
    steps = (dns(failure=Failure.TIMEOUT), *again(dns(GOOD)))
    assert keys_of(*steps)["queries"][0]["failure"] is None
    accused = keys_of(*steps, verdict=blocked(Mechanism.DNS_TIMEOUT))["queries"]
    assert [query["failure"] for query in accused] == ["generic_timeout_error"]


# --- the control -------------------------------------------------------------------------------


def test_without_a_control() -> None:
    keys = keys_of(*fetched())
    assert keys["control"] is None
    assert keys["control_failure"].startswith("unknown_failure")


def test_the_nearest_control() -> None:
    far = control(tcp("192.0.2.9"), age=-800)
    near = control(dns(GOOD), *fetched(), age=60)
    keys = keys_of(dns(GOOD), *fetched(), controls=(far, near))
    assert keys["control_failure"] is None
    assert keys["control"] == {
        "tcp_connect": {f"{GOOD}:443": {"status": True, "failure": None}},
        "tls_handshake": {f"{GOOD}:443": {"server_name": HOST, "status": True, "failure": None}},
        "quic_handshake": {},
        "http_request": {
            "body_length": 9000,
            "discovered_h3_endpoint": "",
            "failure": None,
            "title": "The site",
            "headers": {},
            "status_code": 200,
        },
        "http3_request": None,
        "dns": {"failure": None, "addrs": [GOOD]},
        "ip_info": {GOOD: {"asn": 0, "flags": 11}},
    }


@pytest.mark.parametrize("url", ["http://[", "https://site.example:99999/", "nonsense"])
def test_an_input_that_is_no_url(url: str) -> None:
    keys = keys_of(dns(GOOD), url=url, controls=(control(dns(GOOD), *fetched()),))
    assert keys["control"]["tls_handshake"] == {}


def test_a_control_s_handshake_without_its_connection_is_left_out() -> None:
    keys = keys_of(dns(GOOD), *fetched(), controls=(control(dns(GOOD), tls()),))
    assert keys["control"]["tls_handshake"] == {}


def test_a_control_that_failed_has_the_helper_s_words() -> None:
    dead = control(nxdomain(), tcp(failure=Failure.REFUSED))
    found = keys_of(dns(GOOD), *fetched(), controls=(dead,))["control"]
    assert found["dns"] == {"failure": "dns_name_error", "addrs": []}
    assert found["tcp_connect"][f"{GOOD}:443"]["failure"] == "connection_refused_error"
    assert found["http_request"]["failure"] == "connection_refused_error"
    assert (found["http_request"]["status_code"], found["http_request"]["body_length"]) == (-1, -1)


def test_the_page_compared_with_the_control_s() -> None:
    there = control(dns(GOOD), *fetched(received_bytes=12_000, title="Another"))
    keys = keys_of(dns(GOOD), *fetched(), controls=(there,))
    assert keys["body_proportion"] == 0.75
    assert keys["body_length_match"] is True
    assert keys["status_code_match"] is True
    assert keys["title_match"] is False
    assert keys["headers_match"] is None


# --- the verdict -------------------------------------------------------------------------------


def test_the_verdict_and_the_failures_of_web_connectivity() -> None:
    keys = keys_of(nxdomain(), doh(GOOD), verdict=blocked(Mechanism.DNS_NXDOMAIN))
    assert (keys["accessible"], keys["blocking"]) == (False, "dns")
    assert keys["dns_experiment_failure"] == "dns_nxdomain_error"
    assert keys["dns_consistency"] == "inconsistent"
    reset = keys_of(dns(GOOD), tcp(), tls(failure=Failure.RESET))
    assert (reset["accessible"], reset["blocking"]) == (None, None)
    assert reset["http_experiment_failure"] == "connection_reset"
    assert reset["dns_consistency"] is None
    fine = keys_of(dns(GOOD), *fetched(), verdict=Verdict(outcome=Outcome.OK))
    assert (fine["accessible"], fine["blocking"]) == (True, False)
    assert fine["dns_consistency"] == "consistent"
    assert fine["http_experiment_failure"] is None


# --- services ----------------------------------------------------------------------------------


def attempt(part: str, *steps: Step, failure: Failure | None = None, start: int) -> list[Step]:
    """A chain of steps and the summary of it, numbered from `start`."""
    chain = [*steps, Ping(what=part, failure=failure)]
    return [
        replace(step, id=start + n, parent=start + n - 1 if n else None, at=float(start + n))
        for n, step in enumerate(chain)
    ]


def of_service(name: str, steps: Sequence[Step], **more: object) -> dict[str, Any]:
    made = replace(record(experiment=name, url=f"service:{name}", **more), steps=tuple(steps))
    found = measurement(made)
    assert found["input"] is None
    keys: dict[str, Any] = found["test_keys"]
    return keys


def whatsapp(failure: Failure | None) -> list[Step]:
    first = dns(GOOD, name="e1.whatsapp.net")
    web = dns(GOOD, name="web.whatsapp.com")
    sign_up = dns(GOOD, name="v.whatsapp.net")
    return [
        *attempt("messages", first, tcp(failure=failure), failure=failure, start=1),
        *attempt("web", web, tcp(), tls(sni="web.whatsapp.com"), start=11),
        *attempt("registration", sign_up, tcp(), tls(sni="v.whatsapp.net"), start=21),
    ]


def test_whatsapp_endpoints_get_the_keys_of_its_experiment() -> None:
    keys = of_service("whatsapp", whatsapp(None), verdict=Verdict(outcome=Outcome.OK))
    assert keys["whatsapp_endpoints_status"] == "ok"
    assert keys["whatsapp_endpoints_blocked"] == []
    assert (keys["whatsapp_web_status"], keys["whatsapp_web_failure"]) == ("ok", None)
    assert keys["registration_server_status"] == "ok"
    accused = blocked(Mechanism.TCP_TIMEOUT)
    denied = of_service("whatsapp", whatsapp(Failure.TIMEOUT), verdict=accused)
    assert denied["whatsapp_endpoints_status"] == "blocked"
    assert denied["whatsapp_endpoints_blocked"] == ["e1.whatsapp.net"]


def test_a_service_that_fails_everywhere_is_not_said_to_be_blocked() -> None:
    down = Verdict(outcome=Outcome.DOWN)
    keys = of_service("whatsapp", whatsapp(Failure.TIMEOUT), verdict=down)
    assert keys["whatsapp_endpoints_status"] is None
    assert keys["whatsapp_endpoints_blocked"] == []


def test_a_blocked_part_of_signal_is_in_its_keys() -> None:
    own = replace(FORGED, authority=Authority(id="signal", kind="service", proof="verified"))
    steps = attempt("messages", dns(GOOD, name="chat.signal.org"), tcp(), tls(trust=own), start=1)
    keys = of_service("signal", steps, verdict=Verdict(outcome=Outcome.OK))
    assert (keys["signal_backend_status"], keys["signal_backend_failure"]) == ("ok", None)
    assert keys["tls_handshakes"][0]["failure"] is None
    assert (keys["failure"], keys["failed_operation"]) == (None, None)
    failing = attempt(
        "storage", dns(GOOD, name="storage.signal.org"), tcp(), failure=Failure.RESET, start=11
    )
    denied = of_service("signal", [*steps, *failing], verdict=blocked(Mechanism.TLS_RESET))
    assert denied["signal_backend_status"] == "blocked"
    assert denied["signal_backend_failure"] == "connection_reset"


def test_signal_under_another_root_has_a_failure() -> None:
    steps = attempt(
        "messages", dns(GOOD, name="chat.signal.org"), tcp(), tls(trust=FORGED), start=1
    )
    assert of_service("signal", steps)["tls_handshakes"][0]["failure"] == "ssl_unknown_authority"


def test_the_names_of_messenger_get_the_keys_of_its_experiment() -> None:
    name = "b-api.facebook.com"
    steps = attempt("accounts", dns(GOOD, name=name), tcp(), tls(sni=name), start=1)
    keys = of_service("messenger", steps, verdict=Verdict(outcome=Outcome.OK))
    assert keys["facebook_b_api_dns_consistent"] is True
    assert keys["facebook_b_api_reachable"] is True
    assert keys["facebook_stun_dns_consistent"] is None
    assert (keys["facebook_dns_blocking"], keys["facebook_tcp_blocking"]) == (False, False)
    denied = attempt("accounts", nxdomain(name=name), failure=Failure.DNS_NXDOMAIN, start=1)
    accused = of_service("messenger", denied, verdict=blocked(Mechanism.DNS_NXDOMAIN))
    assert accused["facebook_b_api_dns_consistent"] is False
    assert accused["facebook_dns_blocking"] is True
    unclear = of_service("messenger", denied, verdict=Verdict(outcome=Outcome.INCONCLUSIVE))
    assert unclear["facebook_b_api_dns_consistent"] is None
    assert unclear["facebook_dns_blocking"] is None


def test_tor_endpoints_get_the_keys_of_its_experiment() -> None:
    own = Trust(valid=False, reason=TrustReason.SELF_SIGNED)
    authority = attempt("directory authorities", tcp(), tls(sni=None, trust=own), start=1)
    directory = attempt(
        "directories", tcp(port=80, failure=Failure.RESET), failure=Failure.RESET, start=11
    )
    bridge = [Ping(what="bridge 1", id=21)]
    keys = of_service("tor", [*authority, *directory, *bridge])
    assert list(keys["targets"]) == [f"{GOOD}:443", f"{GOOD}:80"]
    shaken = keys["targets"][f"{GOOD}:443"]
    assert (shaken["failure"], shaken["target_protocol"]) == (None, "or_port_dirauth")
    assert shaken["target_address"] == f"{GOOD}:443"
    assert "network_events" in shaken
    (handshake,) = shaken["tls_handshakes"]
    assert (handshake["failure"], handshake["no_tls_verify"]) == (None, True)
    reset = keys["targets"][f"{GOOD}:80"]
    assert (reset["failure"], reset["target_protocol"]) == ("connection_reset", "dir_port")
    assert reset["summary"] == {"connect": {"failure": "connection_reset"}}
    assert (keys["or_port_dirauth_total"], keys["or_port_dirauth_accessible"]) == (1, 1)
    assert (keys["dir_port_total"], keys["dir_port_accessible"]) == (1, 0)

"""OONI's experiments on services: parts, attempts, and verdicts without a control."""

from typing import Any

from probe.certificates.roots import Roots
from probe.failure import Failure
from probe.interop.ooni.incoming.to_record import to_record
from probe.judge import judge
from probe.model import Ping, Record, Tls
from tests.probe.interop.ooni.incoming.measured import (
    Entry,
    connect,
    denied,
    measurement,
    query,
    request,
    shake,
)

ROOTS = Roots.mozilla()
AT = {
    "e1.whatsapp.net": "157.240.1.1",
    "v.whatsapp.net": "157.240.1.2",
    "web.whatsapp.com": "157.240.1.3",
}


def service(test: str, **parts: Any) -> Record:
    made: Entry = {**measurement("", **parts), "test_name": test, "input": None}
    return to_record(made, roots=ROOTS)


def whatsapp(*, failing: str = "", failure: str = "generic_timeout_error") -> Record:
    """A query, a connection and, but for the message server, a handshake at each host."""
    tls = [name for name in AT if not name.startswith("e1.")]
    return service(
        "whatsapp",
        queries=[query([address], name=name) for name, address in AT.items()],
        tcp=[
            connect(address, failure=failure if name == failing else None)
            for name, address in AT.items()
        ],
        tls=[shake(AT[name], name=name) for name in tls if name != failing],
    )


def parts(made: Record) -> dict[str, Failure | None]:
    """The failure of each part's attempts."""
    return {s.what: s.failure for s in made.steps if isinstance(s, Ping) and s.address is None}


def test_a_service_that_answers() -> None:
    made = whatsapp()
    assert (made.experiment, made.input) == ("whatsapp", "service:whatsapp")
    assert parts(made) == {"messages": None, "registration": None, "web": None}
    assert judge(made).outcome == "ok"


def test_a_part_that_fails_accuses_nobody_without_a_control() -> None:
    made = whatsapp(failing="v.whatsapp.net")
    assert parts(made)["registration"] is Failure.TIMEOUT
    assert judge(made).outcome == "inconclusive"


def test_a_name_that_is_denied_is_an_attempt() -> None:
    made = service("signal", queries=[denied(name="chat.signal.org")])
    assert parts(made) == {"messages": Failure.DNS_NXDOMAIN}
    assert judge(made).outcome == "inconclusive"


def test_messenger_and_telegram() -> None:
    host = "edge-mqtt.facebook.com"
    made = service("facebook_messenger", queries=[query(name=host)], tcp=[connect()])
    assert (made.experiment, parts(made)) == ("messenger", {"messages": None})
    centre = "149.154.175.50"
    made = service(
        "telegram",
        queries=[],
        tcp=[connect(centre, 80)],
        requests=[request(f"http://{centre}/", centre, status=501, body="")],
    )
    assert parts(made) == {"data centres": None}


def test_the_servers_of_tor() -> None:
    authority = {
        "target_address": "193.23.244.244:443",
        "target_protocol": "or_port_dirauth",
        "failure": None,
        "queries": None,
        "tcp_connect": [connect("193.23.244.244")],
        "tls_handshakes": [{**shake("193.23.244.244", name="www.abc.com"), "no_tls_verify": True}],
        "requests": None,
    }
    bridge = {
        "target_protocol": "obfs4",
        "target_address": "[scrubbed]",
        "failure": "generic_timeout_error",
        "tcp_connect": [{"ip": "[scrubbed]", "port": 443, "status": {"failure": "x"}}],
    }
    directory = {
        "target_protocol": "dir_port",
        "failure": "connection_refused",
        "tcp_connect": [connect("131.188.40.189", 80, "connection_refused")],
    }
    made = measurement("", queries=[])
    made["test_keys"] = {"targets": {"a": authority, "b": bridge, "c": directory, "d": 7}}
    record = to_record({**made, "test_name": "tor", "input": None}, roots=ROOTS)
    assert parts(record) == {"directory authorities": None, "directories": Failure.REFUSED}
    (step,) = [s for s in record.steps if isinstance(s, Tls)]
    assert (step.sni, step.trust) == (None, None)
    assert judge(record).outcome == "inconclusive"

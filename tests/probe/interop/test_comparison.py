"""The comparison of conclusions: counts, reasons, authorities, and bounds."""

from msgspec.structs import replace

from probe.interop import comparison
from probe.interop.comparison import Comparison
from probe.interop.ooni.incoming.said import is_same, said
from probe.model import Authority, Outcome, Record, RuleHit, Tls, Trust, Vantage, Verdict

KNOWN = Authority(id="kz.qaznet.2016", kind="interception", proof="verified")


def record(authority: Authority | None = None, asn: int = 9198, day: int = 18) -> Record:
    trust = Trust(valid=False, authority=authority)
    return Record(
        id="0" * 32,
        run="0" * 32,
        experiment="web",
        input="https://site.example/",
        started_at=f"2019-07-{day}T10:00:00Z",
        elapsed=1.0,
        vantage=Vantage(country="KZ", asn=asn),
        steps=(Tls(address="93.184.216.34", port=443, trust=trust),),
    )


def verdict(outcome: Outcome = Outcome.INTERCEPTED) -> Verdict:
    return Verdict(outcome=outcome, rules=(RuleHit(id="tls.known", reason="=Because."),))


def test_authorities_are_counted_where_their_signature_verified() -> None:
    compared = Comparison(is_same)
    claimed = replace(KNOWN, proof="claimed")
    for made in (record(KNOWN), record(KNOWN, 21299, 20), record(claimed), record()):
        compared.add(made, "http-failure", verdict(), "f:1")
    (seen,) = compared.authorities.values()
    assert (seen.measurements, len(seen.networks), seen.first, seen.last) == (
        2,
        2,
        "2019-07-18T10:00:00Z",
        "2019-07-20T10:00:00Z",
    )
    assert comparison.as_json(compared)["authorities"]


def test_memory_does_not_grow_with_the_archive() -> None:
    compared = Comparison(is_same)
    for number in range(1000):
        compared.add(record(), "nothing", verdict(), f"f:{number}")
        compared.leave_out(f"kind_{number}")
    assert len(compared.pairs) == 1
    assert len(compared.left_out) <= 201
    assert compared.left_out.total() == 1000


def test_a_cell_is_no_formula() -> None:
    compared = Comparison(is_same)
    compared.add(record(), "dns", verdict(), "f:1")
    assert "'=Because." in list(comparison.as_csv(compared))[1]


def test_what_ooni_said() -> None:
    keys = [(True, False), (False, False), (False, "dns"), (None, None), (False, "magic")]
    made = [{"test_keys": {"accessible": one, "blocking": two}} for one, two in keys]
    assert list(map(said, made)) == ["accessible", "down", "dns", "nothing", "nothing"]
    whatsapp = {
        "test_name": "whatsapp",
        "test_keys": {"registration_server_status": "ok", "whatsapp_endpoints_status": "blocked"},
    }
    assert said(whatsapp) == "blocked"
    assert said({"test_name": "signal", "test_keys": {"signal_backend_status": "ok"}}) == (
        "accessible"
    )
    assert said({"test_name": "telegram", "test_keys": {"telegram_web_status": [1]}}) == "nothing"
    assert said(None) == "nothing"


def test_which_words_say_the_same() -> None:
    assert is_same("http-failure", Outcome.INTERCEPTED)
    assert is_same("down", Outcome.REFUSED)
    assert not is_same("accessible", Outcome.INCONCLUSIVE)

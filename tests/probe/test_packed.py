"""What a run keeps packed: the same comes out, and little is kept."""

from msgspec.structs import replace

from probe.analysis.facts import condense
from probe.model import Control, Http, Outcome, Record, Steps, Verdict
from probe.packed import Packed, PackedRecords
from tests.build import VALID, control, dns, page, record, tcp, tls

LONG = "x" * 100_000  # longer than any text of a record may be


def site(number: int) -> Record:
    """A finished record of a site that works, over two hops."""
    host = f"site{number}.example{number}"
    steps: Steps = ()
    for hop, name in enumerate((host, f"www.{host}")):
        address = f"198.51.{number // 250}.{number % 250}"
        steps += (
            dns(address, name=name),
            tcp(address),
            tls(address, sni=name, trust=VALID),
            replace(page(f"https://{name}/"), hop=hop, address=address, body="text " * 500),
        )
    made = record(*steps, url=f"https://{host}/")
    return replace(made, verdict=Verdict(outcome=Outcome.OK, confidence=1.0))


def test_the_same_records_come_out_in_their_order_each_time() -> None:
    every = [site(number) for number in range(75)]
    kept = PackedRecords()
    for one in every:
        kept.append(one)
    assert len(kept) == 75
    assert list(kept) == every
    assert list(kept) == every


def test_a_condensed_record_takes_some_hundred_bytes() -> None:
    kept = PackedRecords()
    for number in range(320):
        kept.append(condense(site(number)))
    assert kept.size / len(kept) < 500


def test_what_is_out_of_bounds_is_kept_as_it_is() -> None:
    odd = replace(site(1), category=LONG)
    kept = PackedRecords()
    for one in (odd, site(2)):
        kept.append(one)
    assert len(kept) == 2
    assert sorted(kept, key=lambda one: one.input) == [odd, site(2)]


def test_steps_and_a_control_come_out_as_they_went_in() -> None:
    steps = site(3).steps
    assert Packed[Steps](steps, Steps).value() == steps
    strange = (replace(page("https://a.example/"), title=LONG),)
    assert isinstance(strange[0], Http)
    assert Packed[Steps](strange, Steps).value() == strange
    assert Packed[Steps]((), Steps).value() == ()
    seen = control(*steps)
    assert Packed(seen, Control).value() == seen

"""The real dependencies, from the settings."""

import subprocess
import sys
from pathlib import Path

import pytest

from probe import reference_data
from probe.config import Settings
from probe.errors import UserError
from probe.runner import preparing, wiring

# What a run imports before its first packet.
STARTED = (
    "import sys\n"
    "import probe.command_line, probe.commands.run, probe.runner.loop\n"
    "from probe import experiments\n"
    "experiments.load()\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2606:4700::1111", ("2606:4700::1111", 53)),
        ("[2606:4700::1111]:5353", ("2606:4700::1111", 5353)),
        ("[2606:4700::1111]", ("2606:4700::1111", 53)),
    ],
)
def test_resolvers_are_parsed(text: str | None, expected: tuple[str, int] | None) -> None:
    assert wiring.parse_resolver(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1", "[]:53"]
)
def test_an_unusable_resolver_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="--resolver"):
        wiring.parse_resolver(text)


def test_configured_anchors_and_resolvers_replace_the_bundled_ones() -> None:
    assert len(wiring.anchors(Settings())) == len(reference_data.anchors())
    assert wiring.anchors(Settings(anchors=("none",))) == ()
    assert wiring.anchors(Settings(anchors=("https://A.kz",)))[0].url == "https://a.kz/"
    assert wiring.public_resolvers(Settings()) == tuple(reference_data.public_resolvers())
    assert wiring.public_resolvers(Settings(resolvers=("none",))) == ()
    (chosen,) = wiring.public_resolvers(Settings(resolvers=("9.9.9.9:5353",)))
    assert (chosen.label, chosen.port, chosen.transport) == ("9.9.9.9", 5353, "udp")
    with pytest.raises(UserError, match="anchors"):
        wiring.anchors(Settings(anchors=("ftp://x",)))


def test_connections_are_spaced_except_in_a_laboratory() -> None:
    assert wiring.session_settings(Settings()).spacing > 0
    assert wiring.session_settings(Settings(lab=True)).spacing == 0


def test_the_hourly_profile_reads_no_page_further() -> None:
    assert wiring.session_settings(Settings(profile="watch")).further_pages == 0
    assert wiring.session_settings(Settings()).further_pages > 0


def test_a_run_without_collectors_imports_only_what_it_needs() -> None:
    """Each of these is memory that a small machine has in use as long as a run lasts."""
    code = f"{STARTED}print(*sys.modules)\n"
    needless = {
        "aioquic",
        "probe.ladder",
        "probe.report.textfile",
        "probe.rules",
        "probe.runner.notify",
        "probe.scrub",
        "cryptography",
        "difflib",
        "email",
        "h11",
        "h2",
        "html",
        "http",
        "httpx",
        "rich",
        "scapy",
    }
    assert needless.isdisjoint(said_by(code))


def test_few_classes_are_compiled_before_the_first_packet() -> None:
    """A dataclass compiles its methods at each start, which takes forty times as long as a struct.

    The modules of Python and of libraries have about twenty.
    """
    code = (
        f"import dataclasses\nmade = []\nkept = dataclasses._process_class\n"
        "dataclasses._process_class = lambda *a: made.append(a[0].__name__) or kept(*a)\n"
        f"{STARTED}"
        "print(*made)\n"
    )
    assert len(said_by(code)) <= 30


def test_what_the_first_answers_need_is_loaded_meanwhile() -> None:
    code = (
        "import asyncio, sys\n"
        "from probe.runner.preparing import LATER, prepare\n"
        "before = set(sys.modules)\n"
        "asyncio.run(prepare(lambda: print('roots')))\n"
        "print(*(set(LATER) & (set(sys.modules) - before)))\n"
    )
    assert set(said_by(code)) == {"roots", *preparing.LATER}


def said_by(code: str) -> list[str]:
    """The words that another Python says."""
    root = Path(wiring.__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    return said.stdout.split()

"""Run the probe and sample, every two milliseconds of processor time, what it is doing.

    python -m bench.field.sampler OUT run …

The stage is that of the innermost frame of the probe that has one; time in OpenSSL or zlib counts
for the caller.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.002
ROOT = str(Path(__file__).parents[2]) + "/"
STAGES = {
    "handshakes": ("probe/net/tls.py", "probe/net/hello.py", "probe/net/server_hello.py"),
    "chains": ("probe/net/chain_verifier.py", "probe/certificates/"),
    "names": ("probe/net/dns.py", "probe/net/datagrams.py", "probe/net/dns_message.py",
              "probe/net/dns_usual.py", "probe/net/dns_wire.py",
              "probe/net/resolver_connections.py", "probe/net/dns_stream.py"),
    "reading pages": ("probe/net/page_features.py",),
    "asking for pages": ("probe/net/http.py", "probe/net/http_exchange.py", "probe/net/http1.py",
                         "probe/net/http2.py", "probe/net/http_response.py"),
    "connections": ("probe/net/stream.py", "probe/net/dial.py", "probe/net/rate_limit.py",
                    "probe/net/attempt.py"),
    "judging": ("probe/judge.py", "probe/analysis/", "probe/rules/"),
    "scrubbing": ("probe/scrub.py", "probe/ip_patterns.py"),
    "writing": ("probe/runner/output.py", "probe/codec.py", "probe/runner/record_builder.py",
                "probe/client/spool.py", "probe/runner/results.py", "probe/runner/journal.py"),
    "deciding what to ask": ("probe/experiments/", "probe/runner/measurer.py",
                             "probe/runner/run.py",
                             "probe/ordering.py", "probe/compare.py"),
}  # fmt: skip
REST = "event loop and the rest"


def stage(frame: FrameType | None) -> str:
    """The stage of a stack."""
    known = ""
    while frame is not None:
        path = frame.f_code.co_filename.removeprefix(ROOT)
        if path.startswith("<frozen importlib"):
            return "starting (imports)"
        if not known and path.startswith("probe/"):
            known = next((name for name, of in STAGES.items() if path.startswith(of)), "")
        frame = frame.f_back
    return known or REST


def main() -> None:
    out = Path(sys.argv.pop(1))
    counts: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda _, frame: counts.update((stage(frame),)))
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    from probe.cli import main as probe

    try:
        probe()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write_text(json.dumps({name: n * EVERY for name, n in counts.items()}))


if __name__ == "__main__":
    main()

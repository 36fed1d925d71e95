"""Compare another program with the probe: same sites, line, censor and core, in turn.

    python -m bench.peer [--sites 500] [--blocked 0.1] [--command "TEMPLATE"]...

In a template `{urls}` is a file with one URL a line, `{config}` the same as a curl configuration,
`{ca}` the field's roots and `{out}` a file to write to. Without one, curl fetches every page, which
is a lower bound: it makes no comparisons, writes no records and judges nothing.
"""

import argparse
import os
import shlex

from bench.field.plan import Spec
from bench.field.testbed import Cost, FieldTestbed, machine

CURL = (
    "curl -sS -Z --parallel-max 64 --cacert {ca} -L --compressed --connect-timeout 5 --max-time 20"
    " -K {config}"
)


def row(name: str, cost: Cost, count: int, other: Cost | None = None) -> str:
    """One line of the table; with `other`, also the ratios to it."""
    numbers = (cost.seconds, 1000 * cost.cpu / count, cost.memory / 1e6, cost.down / count / 1000)
    text = f"{name:24}{60 * count / cost.seconds:10.0f}" + "".join(f"{n:10.1f}" for n in numbers)
    if other is None:
        return text
    return (
        f"{text}   {cost.seconds / other.seconds:.2f} x time, {cost.down / other.down:.2f} x bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare another program with the probe.")
    parser.add_argument("--sites", type=int, default=500)
    parser.add_argument("--blocked", type=float, default=0.1)
    parser.add_argument("--command", action="append", help="a template; may be given again")
    options = parser.parse_args()
    print(machine())
    print(f"{'':24}{'a minute':>10}{'seconds':>10}{'ms cpu':>10}{'MB':>10}{'KB down':>10}")
    with FieldTestbed(Spec(sites=options.sites, blocked=options.blocked)) as testbed:
        ours = testbed.probe()
        print(row("qazprobe", ours, options.sites), flush=True)
        urls, config = testbed.folder / "urls.txt", testbed.folder / "curl.txt"
        urls.write_text("".join(f"{url}\n" for url in testbed.urls()))
        config.write_text(
            "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in testbed.urls())
        )
        for template in options.command or [CURL]:
            command = template.format(
                urls=urls, config=config, ca=testbed.folder / "ca.pem", out=testbed.folder / "out"
            )
            argv = ["sh", "-c", f"exec {command} >/dev/null 2>&1"]
            cost = testbed.measure(argv, os.environ)
            name = shlex.split(command)[0].rpartition("/")[2]
            print(row(name, cost, options.sites, ours), flush=True)


if __name__ == "__main__":
    main()

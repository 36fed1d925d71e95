"""`python -m probe.lab`: list the scenarios, play them, or show the demonstration."""

import sys
from pathlib import Path

import click

from probe.lab import matrix as played
from probe.lab.catalogue.lines import LINES
from probe.lab.demo import demo as demonstrate
from probe.lab.matrix import Row
from probe.lab.scenario import LineSpec


@click.group()
def main() -> None:
    """A simulated country on this machine."""


@main.command("list")
@click.option("--scenario", default="*", metavar="GLOB", help="Only these.")
def list_(scenario: str) -> None:
    """Say what every scenario is and what a right verdict on it would be."""
    for each in played.chosen(scenario):
        street = ", street" if each.street else ""
        click.echo(f"{each.name}  [{each.climate}{street}]")
        for expect in each.expect:
            words = [*expect.mechanisms, *(f"({word})" for word in expect.any_of)]
            click.echo(f"    {expect.url}  {expect.outcome}  {' '.join(words)}")
            click.echo(f"        {expect.why}")


@main.command()
@click.option("--scenario", default="*", metavar="GLOB", help="Only these.")
@click.option("--runs", default=1, metavar="N", help="So many runs of the probe in each country.")
@click.option("--loss", default=0.0, metavar="P", help="Lose this share of packets, such as 0.05.")
@click.option("--line", type=click.Choice(sorted(LINES)), help="Everything on this line instead.")
@click.option("--seed", default=1, metavar="N")
@click.option("--street", is_flag=True, help="On loopback, as where namespaces are not allowed.")
@click.option("--all", "every", is_flag=True, help="Show what came out right, too.")
def matrix(
    scenario: str,
    runs: int,
    loss: float,
    line: str | None,
    seed: int,
    *,
    street: bool,
    every: bool,
) -> None:
    """Play scenarios through the real commands; exit with 1 if anybody was falsely accused."""
    scenarios = played.chosen(scenario)
    other = LineSpec(f"loss {loss}", delay=0.015, loss=loss, rate=20_000_000) if loss else None
    other = LINES[line] if line else other
    if other is not None:
        scenarios = played.on_line(scenarios, other)
    rows: list[Row] = []
    problems = 0
    for part in played.play_all(scenarios, runs=runs, seed=seed, street=street):
        click.echo(f"\n== {part.climate}: {len(part.rows)} verdicts in {part.seconds:.1f} s")
        for row in part.rows:
            if every or not row.right:
                click.echo(line_of(row))
        if part.problem:
            click.echo(f"could not be played: {part.problem}")
        problems += bool(part.problem)
        rows += part.rows
    sys.exit(max(summary(rows), 3 if problems else 0))


@main.command()
@click.option("-o", "output", default="qazprobe-demo.jsonl", metavar="FILE", type=Path)
@click.option("--street", is_flag=True, help="On loopback, as where namespaces are not allowed.")
def demo(output: Path, *, street: bool) -> None:
    """Show the whole line on this machine: country, collector, control, probe, metrics."""
    sys.exit(demonstrate(output, force_street=street))


def line_of(row: Row) -> str:
    """One verdict, in one line for right ones and with its rules for others."""
    mark = "ACCUSED" if row.false_accusation else "right" if row.right else "wrong"
    wanted = " ".join([row.expect.outcome, *row.expect.mechanisms, *row.expect.any_of])
    got = " ".join([row.got.outcome, *row.got.mechanisms])
    shown = f"{mark:8} {row.scenario.name:32} {row.got.seconds:5.1f} s  {got}"
    rules = " ".join(row.got.rules)
    return shown if row.right else f"{shown}\n{'':9}wanted: {wanted}  rules: {rules}"


def summary(rows: list[Row]) -> int:
    """Print the sums and give the exit code."""
    right = sum(row.right for row in rows)
    outcomes = sum(row.outcome_right for row in rows)
    accused = sum(row.false_accusation for row in rows)
    click.echo(f"\n{len(rows)} verdicts: {right} right, {outcomes} with the right outcome,")
    click.echo(f"{accused} false accusations")
    return 1 if accused else 0


if __name__ == "__main__":
    main()

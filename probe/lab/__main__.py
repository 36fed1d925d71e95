"""`python -m probe.lab`: list the scenarios, run them, or run the demonstration."""

import sys
from pathlib import Path

import click

from probe.lab.catalogue.lines import LINES
from probe.lab.demo import demo as demonstrate
from probe.lab.matrix import MatrixRow, move_to_line, run_matrix, select_scenarios
from probe.lab.scenario import LineSpec


@click.group()
def main() -> None:
    """A simulated network on this machine."""


@main.command("list")
@click.option("--scenario", default="*", metavar="GLOB", help="Only these.")
def list_(scenario: str) -> None:
    """List the scenarios and the right verdicts."""
    for each in select_scenarios(scenario):
        loopback = ", loopback" if each.loopback else ""
        click.echo(f"{each.name}  [{each.environment}{loopback}]")
        for expect in each.expect:
            words = [*expect.mechanisms, *(f"({word})" for word in expect.any_of)]
            click.echo(f"    {expect.url}  {expect.outcome}  {' '.join(words)}")
            click.echo(f"        {expect.why}")


@main.command()
@click.option("--scenario", default="*", metavar="GLOB", help="Only these.")
@click.option("--runs", default=1, metavar="N", help="Runs of the probe in each testbed.")
@click.option("--loss", default=0.0, metavar="P", help="Share of packets to lose, such as 0.05.")
@click.option("--line", type=click.Choice(sorted(LINES)), help="Run everything on this line.")
@click.option("--seed", default=1, metavar="N")
@click.option("--street", "loopback", is_flag=True, help="Run on loopback, without namespaces.")
@click.option("--all", "every", is_flag=True, help="Show right verdicts too.")
def matrix(
    scenario: str,
    runs: int,
    loss: float,
    line: str | None,
    seed: int,
    *,
    loopback: bool,
    every: bool,
) -> None:
    """Run scenarios through the real commands; exit with 1 if there is a false positive."""
    scenarios = select_scenarios(scenario)
    other = LineSpec(f"loss {loss}", delay=0.015, loss=loss, rate=20_000_000) if loss else None
    other = LINES[line] if line else other
    if other is not None:
        scenarios = move_to_line(scenarios, other)
    rows: list[MatrixRow] = []
    problems = 0
    for part in run_matrix(scenarios, runs=runs, seed=seed, loopback=loopback):
        click.echo(f"\n== {part.environment}: {len(part.rows)} verdicts in {part.seconds:.1f} s")
        for row in part.rows:
            if every or not row.right:
                click.echo(line_of(row))
        if part.problem:
            click.echo(f"could not run: {part.problem}")
        problems += bool(part.problem)
        rows += part.rows
    sys.exit(max(summary(rows), 3 if problems else 0))


@main.command()
@click.option("-o", "output", default="qazprobe-demo.jsonl", metavar="FILE", type=Path)
@click.option("--street", "loopback", is_flag=True, help="Run on loopback, without namespaces.")
def demo(output: Path, *, loopback: bool) -> None:
    """Run the whole pipeline on this machine: testbed, collector, control, probe, metrics."""
    sys.exit(demonstrate(output, force_loopback=loopback))


def line_of(row: MatrixRow) -> str:
    """One verdict on one line; with its rules if it is not right."""
    mark = "FALSE+" if row.false_positive else "right" if row.right else "wrong"
    wanted = " ".join([row.expect.outcome, *row.expect.mechanisms, *row.expect.any_of])
    actual = " ".join([row.actual.outcome, *row.actual.mechanisms])
    shown = f"{mark:8} {row.scenario.name:32} {row.actual.seconds:5.1f} s  {actual}"
    rules = " ".join(row.actual.rules)
    return shown if row.right else f"{shown}\n{'':9}wanted: {wanted}  rules: {rules}"


def summary(rows: list[MatrixRow]) -> int:
    """Print the totals and return the exit code."""
    right = sum(row.right for row in rows)
    outcomes = sum(row.outcome_right for row in rows)
    false_positives = sum(row.false_positive for row in rows)
    click.echo(f"\n{len(rows)} verdicts: {right} right, {outcomes} with the right outcome,")
    click.echo(f"{false_positives} false positives")
    return 1 if false_positives else 0


if __name__ == "__main__":
    main()

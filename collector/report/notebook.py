"""The notebook of a report: it reads the folder that it lies in, with pandas alone. Pure."""

import json

_LOAD = """import hashlib, json, pathlib
import pandas as pd

HERE = pathlib.Path(".")
manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
print(manifest["citation"])"""
_HASHES = """def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

changed = [name for name, of in manifest["files"].items() if sha256(HERE / name) != of["sha256"]]
assert not changed, f"changed since the report was made: {changed}"
print(len(manifest["files"]), "files are as they were made")"""
_TABLES = """def table(name):
    return pd.read_csv(HERE / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])

tables = {path.stem: table(path.stem) for path in sorted((HERE / "tables").glob("*.csv"))}
{name: len(rows) for name, rows in tables.items()}"""
_CONFIRMED = """interference = tables["interference"]
confirmed = interference[interference["state"].isin(["confirmed", "ended"])]
confirmed.groupby("category")["target"].nunique().sort_values(ascending=False)"""
_MATRIX = """confirmed.pivot_table(
    index=["category", "target"], columns="asn", values="kind", aggfunc="first"
).fillna("")"""
_SHARE = """share = confirmed[confirmed["conclusive"] > 0].copy()
share["ratio"] = share["interfered"] / share["conclusive"]
share[["target", "network", "kind", "interfered", "conclusive", "ratio",
       "probes_interfered", "probes"]]"""
_MECHANISMS = """by_mechanism = tables["mechanisms"].groupby("mechanism")
by_mechanism["measurements"].sum().sort_values(ascending=False)"""
_INTERCEPTIONS = """tables["interceptions"].T"""
_THROTTLING = """rates = tables["throttling"]
rates.groupby(["target", "asn"])[["rate_target", "rate_reference", "ratio"]].median()"""
_COVERAGE = """coverage = tables["coverage"]
probes = coverage.pivot_table(index="asn", columns="day", values="probes", aggfunc="sum")
probes.fillna(0).astype(int)"""
_HEARD = """heard = tables["heartbeats"]
heard.pivot_table(index="asn", columns="day", values="probes", aggfunc="sum")"""
_GAPS = """tables["gaps"].sort_values("minutes", ascending=False).head(20)"""
_OUTAGES = """tables["outages"]"""
_CHECK = '''BAD, FINE = ["blocked", "intercepted", "throttled"], ["ok", "refused"]

def counts(days):
    """The counts of each site on each network, out of those of its days."""
    def of(outcomes):
        return days[days["outcome"].isin(outcomes)].groupby(["target", "asn"])["measurements"].sum()
    both = pd.DataFrame({"conclusive": of(BAD + FINE), "interfered": of(BAD)})
    return both.reindex(days.groupby(["target", "asn"]).size().index).fillna(0).astype(int)

told = tables["sites"].set_index(["target", "asn"])[["conclusive", "interfered"]].sort_index()
assert counts(tables["daily"]).sort_index().equals(told), "the counts differ"
print("the counts of", len(told), "sites on networks are those of their days")'''
_DATA = """try:
    data = pd.read_parquet(HERE / "data.parquet")
except ImportError:
    data = None
    print("with pyarrow installed, this cell counts the measurements themselves")
if data is not None:
    data = data[data["voting"] & ~data["excluded"] & (data["standing"] != "stranger")]
    data = data[~data["outcome"].isin(["none"]) & (data["target"] != "unlisted")]
    each = data.groupby(["target", "asn", "outcome"]).size().rename("measurements").reset_index()
    assert counts(each).sort_index().equals(told), "the counts differ"
    print("the counts are those of", len(data), "measurements")"""


def notebook(title: str, citation: str) -> bytes:
    """The notebook as JSON, in the format of Jupyter."""
    cells = [
        _words(f"# {title}\n\n{citation}\n\nRun it in the folder of the report; pandas is enough."),
        _code(_LOAD),
        _words("Every file is as it was made."),
        _code(_HASHES),
        _code(_TABLES),
        _words("## Which sites, on which networks"),
        _code(_CONFIRMED),
        _code(_MATRIX),
        _words("## In how many measurements of how many probes, and by which mechanism"),
        _code(_SHARE),
        _code(_MECHANISMS),
        _words("## Forged certificates"),
        _code(_INTERCEPTIONS),
        _words("## Rates against references, bytes a second"),
        _code(_THROTTLING),
        _words("## Coverage: probes by network and day"),
        _code(_COVERAGE),
        _words("## Heartbeats: probes heard by network and day, and the longest gaps"),
        _code(_HEARD),
        _code(_GAPS),
        _words("## Outages; a `silence` is one that no event tells of"),
        _code(_OUTAGES),
        _words("## The tables follow from the data"),
        _code(_CHECK),
        _code(_DATA),
    ]
    whole = {
        "cells": [{"id": f"cell-{n:02}", **cell} for n, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"


def _words(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, object]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": text.splitlines(keepends=True),
    }

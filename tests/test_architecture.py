"""The shape of the code, proved: what its folders, ports and sizes promise.

Import directions are proved by import-linter (`pyproject.toml`); here is what it cannot say.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from probe import experiments
from probe.rule import rules_of

ROOT = Path(__file__).parents[1]
PACKAGES = ("probe", "collector")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULE_LINES = 400
FUNCTION_LINES = 60

# Modules that may be longer, each with its reason and how long.
LONGER = {
    "probe/model.py": (700, "the record on one page: declarations and what None means, no code"),
}

PURE = (
    "probe/certificates/[!r]*.py",  # roots reads the store of the machine it runs on
    "probe/compare.py",
    "probe/experiments/*.py",
    "probe/failure.py",
    "probe/judge.py",
    "probe/runner/daily_quota.py",
    "probe/api_types.py",
    "probe/bounds.py",
    "probe/clip.py",
    "probe/model.py",
    "probe/words.py",
    "probe/ordering.py",
    "probe/analysis/*.py",
    "probe/rule.py",
    "probe/rules/*.py",
    "probe/scrub.py",
    "probe/transfer_rate.py",
    "probe/ip_patterns.py",
    "probe/report/certificate_diff.py",
    "probe/report/explain.py",
    "probe/report/glossary.py",
    "probe/urls.py",
    "probe/codec.py",
    "probe/wireguard.py",
)
IMPURE = {
    "asyncio",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}

# What the collector may know of the probe: the record, what reads it, and what judges it.
SHARED = {
    "analysis",
    "api_types",
    "asn_table",
    "bounds",
    "categories",
    "certificates",
    "codec",
    "compare",
    "escape",
    "experiments",
    "failure",
    "i18n",
    "interop",
    "judge",
    "link_descriptor",
    "list_table",
    "model",
    "reference_data",
    "report",
    "rules",
    "scrub",
    "target_rows",
    "targets",
    "translated_help",
    "urls",
    "words",
}

HEAVY = [
    *("scapy", "httpx", "aioquic", "cryptography", "rich"),
    *("aiohttp", "asyncpg", "duckdb", "jinja2", "numpy", "prometheus_client", "pyarrow"),
]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def of(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, with its dots."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path: Path) -> set[str]:
    return {imported.partition(".")[0] for imported in imports(path)}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def submodules(folder: str, but: set[str]) -> list[Path]:
    found = of(f"{folder}/*.py")
    return [path for path in found if path.stem not in but and not path.stem.startswith("_")]


def test_modules_say_first_what_they_are_for() -> None:
    silent = [name(path) for path in MODULES if not ast.get_docstring(tree(path))]
    assert silent == []


def test_modules_stay_short() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in MODULES}
    long = {
        file: lines
        for file, lines in lengths.items()
        if lines > LONGER.get(file, (MODULE_LINES, ""))[0]
    }
    assert long == {}
    assert all(lengths[file] > MODULE_LINES for file in LONGER), "an exception that is not needed"


def test_functions_stay_short() -> None:
    lengths = {
        f"{name(path)}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in MODULES
        for function in functions(path)
    }
    assert {where: lines for where, lines in lengths.items() if lines > FUNCTION_LINES} == {}


# Rule ids that do not begin with their module's own name: the prefixes that the module may use.
RULE_PREFIXES = {
    "archive_cleared": {"archive"},
    "connectivity": {"shutdown"},
    "dns_dead": {"dns"},
    "dns_resolver": {"dns"},
    "dns_transports": {"dns"},
    "http_pages": {"http"},
    "ok": {"ok", "refused", "down"},
    "services_blocked": {"services"},
    "throttle_cleared": {"throttle"},
    "tls_interception": {"tls"},
    "trace": {"path"},
    "unclear": {"unclear", "note"},
}


def test_a_module_of_rules_is_named_after_the_prefix_of_its_ids() -> None:
    modules = submodules("probe/rules", but=set())
    for module in (import_module(f"probe.rules.{path.stem}") for path in modules):
        stem = module.__name__.rpartition(".")[2]
        prefixes = {rule.id.partition(".")[0] for rule in rules_of(module)}
        assert prefixes == RULE_PREFIXES.get(stem, {stem}), stem
        assert isinstance(module.EXPERIMENTS, tuple), stem
        assert module.EXPERIMENTS, stem


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "base", "manager", "core", "misc"}
    assert [name(path) for path in MODULES if path.stem in drawers] == []


def test_nothing_is_left_to_be_done() -> None:
    # The words themselves, not in a message, and not the category of sites about hacking.
    notes = re.compile(r"\b(?:TODO|FIXME|XXX|(?<!\")HACK)\b")
    sources = [*MODULES, *of("tests/**/*.py", "dashboards/*.py", "bench/**/*.py", "docs/**/*.md")]
    found = [
        name(path)
        for path in sources
        if path != Path(__file__) and notes.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_exception_to_the_linter_has_its_reason() -> None:
    bare = re.compile(r"# noqa(?!: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \S)")
    sources = [*MODULES, *of("tests/**/*.py", "dashboards/*.py", "bench/**/*.py", "docs/*.py")]
    found = [name(path) for path in sources if bare.search(path.read_text(encoding="utf-8"))]
    assert [file for file in found if file != name(Path(__file__))] == []


def test_deciding_is_pure() -> None:
    touching = {name(path): roots(path) & IMPURE for path in of(*PURE)}
    assert {file: names for file, names in touching.items() if names} == {}


def test_only_the_net_opens_sockets_to_be_measured_and_it_never_concludes() -> None:
    verdicts = re.compile(r"\b(?:blocked|censor\w*|throttled|intercepted)\b", re.IGNORECASE)
    said = {
        name(path): sorted(set(verdicts.findall(path.read_text())))
        for path in of("probe/net/**/*.py")
    }
    assert {file: words for file, words in said.items() if words} == {}


def test_the_collector_knows_only_what_reads_and_judges_records() -> None:
    foreign = {
        f"{name(path)}: {imported}"
        for path in of("collector/**/*.py")
        for imported in imports(path)
        if imported.startswith("probe.") and imported.split(".")[1] not in SHARED | {"__version__"}
    }
    assert foreign == set()


def test_the_collector_takes_from_the_reports_only_how_a_record_is_explained() -> None:
    taken = {
        ".".join(imported.split(".")[:3])
        for path in of("collector/**/*.py")
        for imported in imports(path)
        if imported.startswith("probe.report.")
    }
    assert taken == {"probe.report.explain", "probe.report.certificate_diff"}


def test_the_probe_never_knows_the_collector() -> None:
    assert [name(path) for path in of("probe/**/*.py") if "collector" in roots(path)] == []


def test_the_runner_names_no_experiment() -> None:
    # What an experiment needs from the runner is declared in its `Experiment`.
    names = set(experiments.load())
    found = {
        f"{name(path)}:{node.lineno}: {node.value}"
        for path in of("probe/runner/*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    assert found == set()


def test_no_two_classes_share_a_name() -> None:
    files: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                files.setdefault(node.name, []).append(name(path))
    assert {class_: where for class_, where in files.items() if len(where) > 1} == {}


def test_raw_packets_stay_in_their_own_process() -> None:
    # scapy is GPL-2.0-only, slow to import, and needs a capability: a separate program.
    users = [name(path) for path in MODULES if "scapy" in roots(path)]
    assert [user for user in users if not user.startswith("probe/rawhelper")] == []


def test_one_module_speaks_to_the_collector() -> None:
    users = [name(path) for path in MODULES if "httpx" in roots(path)]
    assert users == ["probe/client/collector_client.py"]


@pytest.mark.parametrize(
    "path",
    [path for path in submodules("probe/experiments", set()) if "\nEXPERIMENT" in path.read_text()],
    ids=lambda path: path.stem,
)
def test_every_experiment_has_its_test_and_its_cases(path: Path) -> None:
    assert of(f"tests/probe/experiments/test_{path.stem}*.py")
    assert of(f"tests/cases/{path.stem}/*")


@pytest.mark.parametrize("path", submodules("probe/rules", set()), ids=lambda path: path.stem)
def test_every_rule_module_has_its_test(path: Path) -> None:
    shared = (ROOT / "tests/probe/rules").glob("test_*.py")
    imported = re.compile(rf"^from probe\.rules import .*\b{path.stem}\b", re.MULTILINE)
    in_another = any(imported.search(test.read_text(encoding="utf-8")) for test in shared)
    assert of(f"tests/probe/rules/test_{path.stem}*.py") or in_another


START = """
import importlib, sys
try:
    importlib.import_module(sys.argv[1]).main(["--version"])
except SystemExit as done:
    assert not done.code, done.code
heavy = sorted(set(sys.argv[2].split(",")) & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize("module", ["probe.cli", "collector.cli"])
def test_saying_the_version_loads_nothing_heavy(module: str) -> None:
    pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, "-c", START, module, ",".join(HEAVY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+\.\d+\.\d+", done.stdout)

"""The wheel that a volunteer installs: complete, light, and its commands run on their own."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import probe
from tools.index_readme import ReadmeHook, description

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE_MEGABYTES = 30
CLEAN = {"PATH": os.defpath, "LANG": "C.UTF-8"}
PASSED_ON = ("PIP_", "SSL_CERT", "HTTP", "NO_PROXY", "http", "no_proxy", "SYSTEMROOT")


def run(*command: object, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        env={
            **CLEAN,
            **{k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)},
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_version_is_said_in_one_voice() -> None:
    assert PROJECT["version"] == probe.__version__


def test_what_weighs_is_an_extra() -> None:
    base = {re.split(r"[<>=\[ ]", wanted)[0] for wanted in PROJECT["dependencies"]}
    assert base.isdisjoint(
        {"aiohttp", "jinja2", "prometheus-client", "scapy", "aioquic", "duckdb", "asyncpg", "rich"}
        | {"ooniauth-py"}
    )
    assert set(PROJECT["optional-dependencies"]) == {
        "analytics",
        "collector",
        "lake",
        "ooni",
        "postgres",
        "quic",
        "raw",
        "spark",
    }


def test_an_index_is_told_who_this_is_for_and_nothing_that_does_not_exist() -> None:
    assert {"description", "authors", "keywords", "license", "license-files"} <= set(PROJECT)
    classifiers = PROJECT["classifiers"]
    assert classifiers == sorted(classifiers)
    assert "Typing :: Typed" in classifiers
    for kind in ("Development Status", "Intended Audience", "Operating System", "Topic"):
        assert any(line.startswith(f"{kind} :: ") for line in classifiers)
    assert "urls" not in PROJECT, "this project has no address of its own yet"


def test_the_long_description_has_no_link_into_the_source_tree() -> None:
    text = "[a page](docs/a.md), [the web](https://example.com/), [here](#there) and `[x](y)`"
    shown = "a page, [the web](https://example.com/), [here](#there) and `x`"
    assert description(text) == shown
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made: dict[str, Any] = {}
    ReadmeHook(str(ROOT), {}).update(made)
    links = re.findall(r"\]\(([^)]+)\)", made["readme"]["text"])
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert re.findall(r"\]\(docs/", readme), "the README in the tree keeps its links"


VERSION = """
import sys
from probe.cli import main
before = set(sys.modules)
try:
    main(["--version"])
except SystemExit:
    print(sorted(name for name in sys.modules if name.partition(".")[0] == "probe"))
    print(sorted({"asyncio", "msgspec", "pathlib", "platformdirs", "ssl", "tomllib"}
                 & (set(sys.modules) - before)))
"""


def test_the_version_is_said_by_a_handful_of_modules() -> None:
    said = run(sys.executable, "-c", VERSION, PYTHONPATH=str(ROOT), LC_ALL="ru_RU.UTF-8")
    version, ours, heavy = said.stdout.splitlines()
    assert version == f"qazprobe {probe.__version__}"
    assert set(ast.literal_eval(ours)) <= {
        "probe",
        "probe.cli",
        "probe.errors",
        "probe.i18n",
        "probe.stdout",
        "probe.translated_help",
    }
    assert ast.literal_eval(heavy) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the source archive, as an index would get both."""
    out = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "build", "--outdir", out, ROOT, ok=False)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"cannot build here (offline?): {done.stdout.splitlines()[-1:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The commands of the wheel, installed with nothing but its own requirements."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    run(commands / "python", "-m", "pip", "install", "--quiet", wheel)
    yield commands
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_wheel_has_the_code_the_lists_and_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "probe/data/lists/kz.csv" in names
    assert "probe/py.typed" in names
    assert {f"probe/locale/{code}/LC_MESSAGES/qazprobe.mo" for code in ("ru", "kk")} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)
    assert any(name.endswith("/NOTICE") for name in names)
    tops = {name.split("/")[0] for name in names}
    data = f"qazprobe-{probe.__version__}.data"
    assert tops == {
        "probe",
        "collector",
        f"qazprobe-{probe.__version__}.dist-info",
        data,
    }
    assert not any("__pycache__" in name for name in names)
    assert not any(name.endswith(".po") for name in names), "only the compiled texts are read"
    assert any(name.endswith("/ru/LC_MESSAGES/qazprobe.mo") for name in names)
    # Where pipx looks for the manual pages of a program.
    assert f"{data}/data/share/man/man1/qazprobe.1" in names


@pytest.mark.slow
def test_an_index_would_take_the_archives(wheel: Path) -> None:
    archives = sorted(wheel.parent.iterdir())
    assert [path.name.rpartition(".")[2] for path in archives] == ["whl", "gz"]
    run(sys.executable, "-m", "twine", "check", "--strict", *archives)


@pytest.mark.slow
def test_the_base_install_is_light(clean: Path) -> None:
    (packages,) = clean.parent.glob("[Ll]ib/**/site-packages")
    ours = [
        path
        for path in packages.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and path.relative_to(packages).parts[0].split("-")[0] not in {"pip", "setuptools"}
    ]
    size = sum(path.stat().st_size for path in ours) / 1e6
    assert size < BASE_MEGABYTES, f"{size:.1f} MB"


@pytest.mark.slow
def test_the_probe_runs_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert probe.__version__ in run(clean / "qazprobe", "--version").stdout
    assert "kz" in run(clean / "qazprobe", "targets", "list", QAZPROBE_HOME=home).stdout
    refused = run(clean / "qazprobe", "run", "--quiet", ok=False, QAZPROBE_HOME=home)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "qazprobe consent" in refused.stderr


@pytest.mark.slow
def test_without_the_collector_the_demonstration_says_what_to_install(clean: Path) -> None:
    refused = run(clean / "qazprobe", "demo", ok=False)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "qazprobe[collector]" in refused.stderr


@pytest.mark.slow
def test_without_its_extra_the_collector_says_what_to_install(clean: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    options = ("--listen", "127.0.0.1:0", "--store", store, "--enrolment", "open")
    refused = run(clean / "qazcollector", "serve", *options, ok=False)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "qazprobe[collector]" in refused.stderr


@pytest.mark.slow
def test_with_its_extra_the_collector_runs(wheel: Path, clean: Path) -> None:
    run(clean / "python", "-m", "pip", "install", "--quiet", f"{wheel}[collector]")
    assert "--enrolment" in run(clean / "qazcollector", "serve", "--help").stdout
    assert probe.__version__ in run(clean / "qazcollector", "--version").stdout

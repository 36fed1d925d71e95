"""The wheel that a volunteer installs: complete, light, and its commands run on their own."""

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

import pytest

import probe

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE_MEGABYTES = 35
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
        {"aiohttp", "prometheus-client", "scapy", "aioquic", "duckdb", "asyncpg"}
    )
    assert set(PROJECT["optional-dependencies"]) == {
        "analytics",
        "collector",
        "postgres",
        "quic",
        "raw",
    }


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
    assert any(name.endswith("/LICENSE") for name in names)
    assert any(name.endswith("/NOTICE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"probe", "collector", f"qazprobe-{probe.__version__}.dist-info"}
    assert not any("__pycache__" in name for name in names)


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

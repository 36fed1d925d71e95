"""Clients of ndt7 that this project did not make, as far as this machine has or can fetch them."""

import atexit
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

JS_PACKAGE = "@m-lab/ndt7@0.1.4"


@cache
def javascript_client() -> Path | str:
    """The folder of Measurement Lab's own client, fetched by npm; or why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return "no npm to fetch Measurement Lab's client with"
    folder = Path(mkdtemp(prefix="ndt7-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", JS_PACKAGE]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm did not fetch {JS_PACKAGE} within a minute"
    source = folder / "node_modules/@m-lab/ndt7/src"
    return source if source.is_dir() else f"npm could not fetch {JS_PACKAGE} ({done.returncode})"


@cache
def command_line_client() -> list[str] | str:
    """The words that call an `ndt7-client` (Go's or Rust's) of this machine, or why there is none.

    A server follows as the next word.
    """
    program = shutil.which("ndt7-client")
    if program is None:
        return "no ndt7-client on the PATH (cargo install ndt7-client)"
    told = subprocess.run(
        [program, "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    direct = ["--no-locate"] if "--no-locate" in told.stdout + told.stderr else []
    return [program, *direct, "--no-verify", "--quiet", "--server"]

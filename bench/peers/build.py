"""Build OONI's `miniooni` and `oohelperd` for the laboratory, outside this repository.

    python -m bench.peers.build

`go mod download` fetches the module and verifies its checksum. It is built unchanged except for two
files that `-overlay` replaces: the root pool also has the lab's roots, and networks are looked up
in the lab's address plan. Build tags leave out two features that measuring does not need.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

MODULE = "github.com/ooni/probe-cli/v3"
VERSION = "v3.30.0"
TAGS = "ooni_feature_disable_psiphon,nouserauth"
PROGRAMS = ("miniooni", "oohelperd")
_OVERLAY = Path(__file__).with_name("overlay")


def folder() -> Path:
    """The folder of the sources and the programs."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "qazprobe-peers" / VERSION


def program(name: str) -> Path:
    """The path of a built program; `SystemExit` if it is missing."""
    path = folder() / "bin" / name
    if not path.exists():
        raise SystemExit(f"{path} is not there: run python -m bench.peers.build first")
    return path


def main() -> None:
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    source = _source(home)
    overlay = home / "overlay.json"
    overlay.write_text(json.dumps({"Replace": _replaced(home, source)}))
    (home / "bin").mkdir(exist_ok=True)
    build = ["go", "build", "-tags", TAGS, "-overlay", str(overlay), "-o", str(home / "bin")]
    packages = [f"./internal/cmd/{name}" for name in PROGRAMS]
    subprocess.run([*build, *packages], cwd=source, check=True)
    for name in PROGRAMS:
        print(home / "bin" / name)


def _source(home: Path) -> Path:
    """A copy of the module's sources: files in Go's cache cannot be overlaid."""
    download = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    finished = subprocess.run(download, cwd=home, capture_output=True, text=True, check=False)
    found = json.loads(finished.stdout or "{}")
    if "Dir" not in found:
        raise SystemExit(f"{MODULE}@{VERSION}: {found.get('Error') or finished.stderr.strip()}")
    source = home / "source"
    if not source.exists():
        shutil.copytree(found["Dir"], source, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*/")):
            path.chmod(0o755)
    return source


def _replaced(home: Path, source: Path) -> dict[str, str]:
    """Files that replace files of the module in the compiler's view."""
    roots = source / "internal/netxlite/certifi.go"
    text = roots.read_text()
    if text.count("const pemcerts string") != 1:
        raise SystemExit(f"{roots} is not as it was: its bundle of roots was not found")
    renamed = home / "certifi.go"
    renamed.write_text(text.replace("const pemcerts string", "const ownRoots string"))
    return {
        str(roots): str(renamed),
        str(roots.with_name("labroots.go")): str(_OVERLAY / "roots.go"),
        str(source / "internal/geoipx/geoipx.go"): str(_OVERLAY / "geoipx.go"),
    }


if __name__ == "__main__":
    main()

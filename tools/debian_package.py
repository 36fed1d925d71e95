"""Build the Debian package of the probe: `python -m tools.debian_package --output dist`.

The package holds an environment of its own under /usr/lib/qazprobe, because Debian's own libraries
are older than what the probe needs. Its compiled modules are for one Python, the machine's own, and
one processor; the package's dependencies say so. It has no maintainer scripts: nothing is started,
enabled or measured by installing it, and removing it removes exactly the files that it holds.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import strptime

from probe import __version__
from tools.man_pages import DATE

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
# What runs the probe after the installation; the environment is made with it.
PYTHON = "/usr/bin/python3"
PREFIX = Path("usr/lib/qazprobe")
COMMANDS = {"python", "python3", "qazprobe"}
# Notes of pip about where a file came from: paths of the machine that built the package.
PIP_NOTES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/qazprobe",
    "zsh": "usr/share/zsh/vendor-completions/_qazprobe",
    "fish": "usr/share/fish/vendor_completions.d/qazprobe.fish",
}
CONTROL = """\
Package: qazprobe
Version: {version}
Architecture: {architecture}
Maintainer: The qazprobe founders
Installed-Size: {size}
Depends: libc6, python3 (>= {python}), python3 (<< {next_python})
Suggests: cron, libnotify-bin
Section: net
Priority: optional
Description: measure what a network blocks, intercepts or throttles
 qazprobe measures, from a home machine, how the network interferes with a list
 of sites: which it blocks, whose certificates it forges, which it throttles, by
 which mechanism, and with what confidence.
 .
 Nothing is measured before its user has read what that means and has agreed:
 qazprobe consent. No timer is enabled by the installation.
"""


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints; its errors go to stderr."""
    done = subprocess.run(  # noqa: S603 - tools of the build, no input from outside
        [str(part) for part in command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    return done.stdout


def build(output: Path, python: str = PYTHON) -> Path:
    """Build the package and return its path."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="qazprobe-deb-") as name:
        folder = Path(name)
        tree = folder / "tree"
        environment(tree / PREFIX, wheel(folder), python)
        launcher(tree)
        compile_all(tree, python)
        documents(tree)
        completions(tree, python)
        units(tree)
        control(tree, python)
        return archive(tree, output)


def wheel(folder: Path) -> Path:
    """The wheel of this tree."""
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def environment(prefix: Path, package: Path, python: str) -> None:
    """A virtual environment with the probe, without what only a developer of it needs."""
    run(python, "-m", "venv", "--without-pip", "--symlinks", prefix)
    install = ("install", "--quiet", "--no-compile", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", prefix / "bin/python", *install, package)
    for path in (prefix / "bin").iterdir():
        if path.name not in COMMANDS:
            path.unlink()
    for path in sorted(prefix.rglob("*.dist-info/*")):
        if path.name in PIP_NOTES:
            path.unlink()
    for name in ("lib64", "include", "share", ".gitignore"):
        remove(prefix / name)
    for path in (*prefix.rglob("site-packages/collector"), *prefix.rglob("certifi/tests")):
        remove(path)
    where = Path(python).resolve().parent
    (prefix / "pyvenv.cfg").write_text(
        f"home = {where}\ninclude-system-site-packages = false\nversion = {version(python)}\n",
        encoding="utf-8",
    )
    (prefix / "bin/python3").unlink()
    (prefix / "bin/python3").symlink_to("python")
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").symlink_to(python)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def version(python: str) -> str:
    """The version of an interpreter, such as 3.11."""
    return run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()


def launcher(tree: Path) -> None:
    """The command, which must not name the folder in which the package was built."""
    script = tree / PREFIX / "bin/qazprobe"
    script.write_text(
        f"#!/{PREFIX}/bin/python\nfrom probe.cli import main\n\nmain()\n", encoding="utf-8"
    )
    script.chmod(0o755)
    command = tree / "usr/bin/qazprobe"
    command.parent.mkdir(parents=True)
    command.symlink_to("../lib/qazprobe/bin/qazprobe")


def compile_all(tree: Path, python: str) -> None:
    """Byte code for all modules: no user may write it there, and each start would be slow."""
    # Not compared with the time of the source, which dpkg and file systems may change.
    mode = ("--invalidation-mode", "unchecked-hash")
    run(python, "-m", "compileall", "-q", *mode, "-s", tree, "-p", "/", tree / PREFIX / "lib")


def documents(tree: Path) -> None:
    """Manual page, licence, changes and the notes for users of the package."""
    write(tree / "usr/share/man/man1/qazprobe.1.gz", packed(PACKAGING / "man/qazprobe.1"))
    folder = tree / "usr/share/doc/qazprobe"
    write(folder / "changelog.gz", packed(ROOT / "CHANGELOG.md"))
    write(folder / "README.Debian", (PACKAGING / "deb/README.Debian").read_bytes())
    write(folder / "volunteer.md.gz", packed(ROOT / "docs/volunteer.md"))
    write(folder / "copyright", copyright_file(tree).encode())


def packed(path: Path) -> bytes:
    """A file as Debian ships documents: compressed, without a time."""
    return gzip.compress(path.read_bytes(), 9, mtime=0)


def write(path: Path, data: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copyright_file(tree: Path) -> str:
    """Who holds the rights to what is in the package."""
    parts = [(PACKAGING / "deb/copyright").read_text(encoding="utf-8")]
    for folder in sorted((tree / PREFIX).rglob("*.dist-info")):
        name = folder.name.removesuffix(".dist-info").replace("-", " ")
        licences = [path for path in sorted(folder.rglob("*")) if is_licence(path)]
        shown = ", ".join(f"/{path.relative_to(tree)}" for path in licences or [folder])
        if not name.startswith("qazprobe"):
            parts.append(f"{name}: {shown}\n")
    return "".join(parts)


def is_licence(path: Path) -> bool:
    """Whether a file in a distribution's metadata is a licence text."""
    return path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))


def completions(tree: Path, python: str) -> None:
    """The completion scripts that the command prints, one for each shell."""
    site = next((tree / PREFIX / "lib").glob("python*/site-packages"))
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from probe.cli import main; main()"
    for shell, path in COMPLETIONS.items():
        printed = run(
            python,
            "-B",
            "-c",
            code,
            environment={"_QAZPROBE_COMPLETE": f"{shell}_source", "LC_ALL": "C.UTF-8"},
        )
        write(tree / path, printed.encode())


def units(tree: Path) -> None:
    """The system service, which is not enabled, and the user that it runs as, once it is made."""
    folder = PACKAGING / "systemd"
    kinds = {".service", ".socket", ".timer"}
    for path in sorted(path for path in folder.iterdir() if path.suffix in kinds):
        write(tree / "usr/lib/systemd/system" / path.name, path.read_bytes())
    for kind in ("sysusers", "tmpfiles"):
        path = folder / f"qazprobe.{kind}"
        write(tree / f"usr/lib/{kind}.d/qazprobe.conf", path.read_bytes())


def control(tree: Path, python: str) -> None:
    """The package's own description, and the hashes of its files."""
    major, minor = version(python).split(".")
    files = list(regular_files(tree))
    text = CONTROL.format(
        version=__version__,
        architecture=run("dpkg", "--print-architecture").strip(),
        size=sum(path.stat().st_size for path in files) // 1024,
        python=f"{major}.{minor}",
        next_python=f"{major}.{int(minor) + 1}",
    )
    hashes = "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"
        f"  {path.relative_to(tree)}\n"
        for path in files
    )
    write(tree / "DEBIAN/control", text.encode())
    write(tree / "DEBIAN/md5sums", hashes.encode())


def regular_files(tree: Path) -> Iterator[Path]:
    """All files of a tree, in a fixed order."""
    return (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())


def archive(tree: Path, output: Path) -> Path:
    """The package file; two builds of the same tree are the same bytes."""
    output.mkdir(parents=True, exist_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or str(timegm(strptime(DATE, "%Y-%m-%d")))
    options = ("--root-owner-group", "-Zxz", "--build")
    run("dpkg-deb", *options, tree, output, environment={"SOURCE_DATE_EPOCH": epoch})
    return max(output.glob("qazprobe_*.deb"), key=lambda path: path.stat().st_mtime_ns)


def main(arguments: Sequence[str]) -> int:
    """Build the package and say where it is."""
    parser = argparse.ArgumentParser(description="Build the Debian package of the probe.")
    parser.add_argument("--output", type=Path, default=Path("dist"))
    parser.add_argument("--python", default=PYTHON, help=f"default: {PYTHON}")
    chosen = parser.parse_args(arguments)
    if shutil.which("dpkg-deb") is None or shutil.which(chosen.python) is None:
        sys.stderr.write(f"this needs dpkg-deb and {chosen.python}: build it on Debian or Ubuntu\n")
        return 1
    sys.stdout.write(f"{build(chosen.output, chosen.python)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

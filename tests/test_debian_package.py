"""The Debian package: installed, used and removed by dpkg, on a copy of this machine's files.

The copy is an overlay in a mount namespace: writes go to memory and are gone with the namespace.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import probe
from tools import debian_package

ROOT = Path(__file__).parents[1]
PACKAGE = "/qazprobe.deb"
# What dpkg and its triggers keep for themselves.
OF_DPKG = ("/var/lib/dpkg/", "/var/log/", "/var/cache/man/", "/var/cache/debconf/", PACKAGE)

pytestmark = pytest.mark.slow

OVERLAY = """
set -eu
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount --rbind /dev root/dev
mount -t proc proc root/proc 2>/dev/null || mount --rbind /proc root/proc
cp "$2" root/qazprobe.deb
"""
# Prints `== NAME CODE` before the output of each step.
STEPS = """
step() {
  name=$1; shift; set +e; out=$("$@" 2>&1); code=$?; set -e
  echo "== $name $code"; echo "$out"
}
inside() { chroot root "$@"; }
mkdir -p root/home/volunteer && { [ "$USERS" = one ] || chown 12345:12345 root/home/volunteer; }
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
step install inside dpkg --install /qazprobe.deb
step verify inside dpkg --verify qazprobe
run_as() {
  if [ "$USERS" = one ]; then inside env HOME=/home/volunteer "$@"
  else chroot --userspec=12345:12345 root env HOME=/home/volunteer "$@"; fi
}
step version run_as qazprobe --version
step unasked run_as qazprobe run --quiet
step module run_as /usr/lib/qazprobe/bin/python -c 'import probe.rawhelper, sys; print(sys.prefix)'
step lists run_as qazprobe targets list
step consent run_as qazprobe consent --yes
step state run_as find /home/volunteer -type f
step man inside man -w qazprobe
step files inside dpkg --listfiles qazprobe
step enabled find root/etc/systemd root/home -path '*.wants/*qazprobe*'
step remove inside dpkg --remove qazprobe
step purge inside dpkg --purge qazprobe
step status inside dpkg-query --show qazprobe
step left find upper \\( -type f -o -type l -o -type c \\) -printf '/%P\\n'
step folders find upper -type d -name '*qazprobe*' -printf '/%P\\n'
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in ("dpkg-deb", debian_package.PYTHON) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    try:
        return debian_package.build(tmp_path_factory.mktemp("deb"))
    except subprocess.CalledProcessError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"cannot build here (offline?): {error}")


def control(package: Path, field: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "--field", package, field], capture_output=True, text=True, check=True
    ).stdout.strip()


def contents(package: Path) -> list[str]:
    done = subprocess.run(
        ["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_it_is_for_the_python_and_the_processor_that_it_was_made_with(package: Path) -> None:
    wanted = debian_package.version(debian_package.PYTHON)
    assert f"python3 (>= {wanted})" in control(package, "Depends")
    assert "python3 (<< 3." in control(package, "Depends")
    assert control(package, "Version") == probe.__version__
    assert control(package, "Architecture") != "all"


def test_it_runs_no_code_when_it_is_installed_or_removed(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--control", package, tmp_path], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"control", "md5sums"}


def test_it_holds_what_a_user_expects_and_nothing_of_the_build(package: Path) -> None:
    names = [line.split()[5] for line in contents(package)]
    for path in (
        "./usr/bin/qazprobe",
        "./usr/share/man/man1/qazprobe.1.gz",
        "./usr/share/bash-completion/completions/qazprobe",
        "./usr/share/doc/qazprobe/copyright",
        "./usr/share/doc/qazprobe/README.Debian",
    ):
        assert path in names
    assert not [name for name in names if name.startswith("./etc/")]
    assert not [name for name in names if "/collector/" in name or ".wants/" in name]
    assert not [name for name in names if re.search(r"/(pip|setuptools)/", name)]
    assert [name for name in names if name.endswith("probe/__pycache__/cli.cpython-311.pyc")] or (
        sys.version_info[:2] != (3, 11)
    )


def test_every_file_belongs_to_root_and_only_root_may_write(package: Path) -> None:
    lines = contents(package)
    assert {line.split()[1] for line in lines} == {"root/root"}
    modes = {line[:10] for line in lines}
    assert modes <= {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}


def test_no_file_names_the_folder_of_the_build(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            assert b"qazprobe-deb-" not in data, path
            assert str(ROOT).encode() + b"/" not in data, path


def namespace() -> tuple[list[str], str]:
    """How to enter a mount namespace here, and whether it has one user or all."""
    if os.geteuid() == 0:
        return ["unshare", "--mount", "--propagation", "private"], "all"
    return ["unshare", "--map-root-user", "--mount", "--propagation", "private"], "one"


@pytest.fixture(scope="module")
def steps(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Each step of installing, using and removing it: exit code and output."""
    missing = [name for name in ("unshare", "chroot", "dpkg") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("overlay")
    enter, users = namespace()
    arguments = ["sh", str(folder), str(package)]
    tried = subprocess.run(
        [*enter, "sh", "-c", OVERLAY, *arguments], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no overlay in a mount namespace here: {tried.stderr.strip()}")
    done = subprocess.run(
        [*enter, "sh", "-c", OVERLAY + STEPS, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "USERS": users},
    )
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^== (\w+) (\d+)\n", done.stdout, flags=re.MULTILINE)[1:]
    return {
        name: (int(code), out.strip())
        for name, code, out in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def test_it_installs_and_its_files_are_intact(steps: dict[str, tuple[int, str]]) -> None:
    assert steps["install"][0] == 0, steps["install"][1]
    assert steps["verify"] == (0, "")


def test_the_command_runs(steps: dict[str, tuple[int, str]]) -> None:
    assert steps["version"] == (0, f"qazprobe {probe.__version__}")
    assert steps["module"] == (0, "/usr/lib/qazprobe")
    assert steps["lists"][0] == 0, steps["lists"][1]
    assert "kz" in steps["lists"][1]


def test_nothing_is_measured_before_consent_and_no_timer_is_enabled(
    steps: dict[str, tuple[int, str]],
) -> None:
    code, told = steps["unasked"]
    assert code == 2, told
    assert "qazprobe consent" in told
    assert steps["enabled"][1] == ""


def test_after_its_removal_only_the_users_own_files_are_left(
    steps: dict[str, tuple[int, str]],
) -> None:
    assert steps["consent"][0] == 0
    state = set(steps["state"][1].splitlines())
    assert state
    assert steps["remove"][0] == 0, steps["remove"][1]
    assert steps["status"][0] != 0
    left = {path for path in steps["left"][1].splitlines() if not path.startswith(OF_DPKG)}
    assert left == state
    folders = steps["folders"][1].splitlines()
    assert [path for path in folders if not path.startswith("/home/volunteer/")] == []


def test_this_machine_is_unchanged(steps: dict[str, tuple[int, str]]) -> None:
    assert steps["install"][0] == 0
    assert not Path(PACKAGE).exists()
    assert not Path("/usr/lib/qazprobe").exists() or shutil.which("qazprobe") == "/usr/bin/qazprobe"

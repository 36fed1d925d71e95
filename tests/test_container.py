"""The container images: not root, no shell, state in a volume, nothing but the program inside."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import probe
from collector.cli import serve

ROOT = Path(__file__).parents[1]
PROBE = ROOT / "packaging" / "container" / "Containerfile"
COLLECTOR = PROBE.with_name("Containerfile.collector")
STATE = "/state"
IMAGE = "qazprobe-test"

both = pytest.mark.parametrize("file", [PROBE, COLLECTOR], ids=["probe", "collector"])


def instructions(file: Path) -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines if line.strip()]


def last_stage(file: Path) -> dict[str, str]:
    """The instructions of the image itself; of each kind the last one."""
    found = instructions(file)
    begin = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[begin:])


@both
def test_the_file_passes_its_linter(file: Path) -> None:
    linter = shutil.which("hadolint") or str(ROOT / ".venv/bin/hadolint")
    if not Path(linter).exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, file], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@both
def test_the_program_is_started_directly_and_not_as_root(file: Path) -> None:
    stage = last_stage(file)
    user, _, group = stage["USER"].partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert json.loads(stage["ENTRYPOINT"])[0].startswith("/opt/qazprobe/bin/qaz")
    assert "RUN" not in stage, "the last stage needs no shell"


def test_without_words_a_probe_shows_its_help_and_a_collector_serves() -> None:
    assert json.loads(last_stage(PROBE)["CMD"]) == ["--help"]
    words = json.loads(last_stage(COLLECTOR)["CMD"])
    context = serve.make_context("serve", words[1:])
    # A public image must not accept every key.
    assert (words[0], context.params["enrolment"]) == ("serve", "token")


@both
def test_the_state_is_in_a_volume_of_the_user_that_runs(file: Path) -> None:
    stage = last_stage(file)
    assert json.loads(stage["VOLUME"]) == [STATE]
    assert re.search(rf"QAZPROBE_HOME={STATE}$|QAZCOLLECTOR_STORE=sqlite:///{STATE}/", stage["ENV"])
    assert f"--chown={stage['USER']} /empty {STATE}" in stage["COPY"]


@both
def test_no_consent_no_secret_and_no_history_gets_into_the_image(file: Path) -> None:
    ignored = file.with_name(f"{file.name}.dockerignore").read_text(encoding="utf-8")
    copied = [words.split()[:-1] for name, words in instructions(file) if name == "COPY"]
    sources = {source for words in copied if "--from=build" not in words for source in words}
    allowed = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
    assert "\n*\n" in ignored
    assert not [words for name, words in instructions(file) if name == "ADD"]


def engine() -> str:
    """A program that can build an image here, or the test is skipped."""
    reasons = []
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
            continue
        told = subprocess.run([name, "info"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            return name
        reasons.append(f"{name}: {(told.stderr or told.stdout).strip().splitlines()[-1]}")
    pytest.skip("; ".join(reasons))


@pytest.fixture(scope="module")
def image() -> Iterator[tuple[str, str]]:
    """The program that runs containers here, and the image."""
    program = engine()
    build = [program, "build", "--file", str(PROBE), "--tag", IMAGE, str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        pytest.skip(f"cannot build here (offline?): {done.stderr.strip().splitlines()[-1:]}")
    yield program, IMAGE
    subprocess.run([program, "rmi", "--force", IMAGE], capture_output=True, check=False)


def run(image: tuple[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program, name = image
    safe = ["--rm", "--read-only", "--cap-drop", "ALL", "--network", "none"]
    volume = ["--volume", f"{folder}:{STATE}"]
    return subprocess.run(
        [program, "run", *safe, *volume, name, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_the_image_runs_and_keeps_its_state(image: tuple[str, str], tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert run(image, tmp_path, "--version").stdout.strip() == f"qazprobe {probe.__version__}"
    assert run(image, tmp_path, "run", "--quiet").returncode == 2
    assert run(image, tmp_path, "consent", "--yes").returncode == 0
    assert list(tmp_path.iterdir())
    assert run(image, tmp_path, "run", "--dry-run").returncode == 0

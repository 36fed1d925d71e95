"""A temporary PostgreSQL server with default durability; its folder is deleted afterwards."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running() -> Iterator[str]:
    """Yield the server's URL as a store; `RuntimeError` if PostgreSQL is not installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        raise RuntimeError("no PostgreSQL here: apt install postgresql")
    at = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="qaz-pg-"))
    # It refuses to run as root.
    user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
    data = str(folder / "data")
    made = [f"{at}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **user)
    serve = [f"{at}/postgres", "-D", data, "-c", "listen_addresses=", "-k", str(folder)]
    with subprocess.Popen(serve, stderr=subprocess.DEVNULL, cwd=folder, **user) as process:
        try:
            ready = [f"{at}/pg_isready", "-q", "-h", str(folder)]
            while subprocess.run(ready, check=False).returncode:
                if process.poll() is not None:
                    raise RuntimeError("PostgreSQL did not start")
                time.sleep(0.1)
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)

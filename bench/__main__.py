"""Run the benchmarks in turn: `python -m bench [NAME…]`, or list them: `--list`.

A benchmark is a module here that imports argparse and prints a table. Each runs in a process of its
own with its default options.
"""

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """Every benchmark and the first line of its docstring."""
    found = {}
    for path in sorted(HERE.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names
        }
        if "argparse" in imported:
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """Run or list; return 1 if a benchmark failed, 2 if a name is unknown."""
    known = benchmarks()
    if "--list" in arguments:
        print("\n".join(f"{name:20} {about}" for name, about in known.items()))
        return 0
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in arguments or known:
        print(f"\n== {name}: {known[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

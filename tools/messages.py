"""Collect the texts that are translated, from the source files, without running them.

Three kinds: texts marked with `_`, `N_` or `ngettext`; the help of commands and options, which
`probe.command_line` translates as a whole; and the reasons of verdicts, which records hold in
English and `probe.i18n.reason` translates when it shows them (context "reason"). An f-string in the
rules becomes a template with named gaps.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from probe.failure import Failure
from probe.model import TrustReason
from probe.translated_help import paragraphs

ROOT = Path(__file__).parents[1]
REASON = "reason"
_MARKS = frozenset({"_", "N_", "ngettext"})
# Where reasons are written; `lab` is for developers and stays English.
_REASONS = (
    *("probe/rules", "probe/analysis", "probe/judge.py", "probe/ladder.py"),
    "probe/explanations",
    *("probe/experiments/option.py", "probe/extras.py"),
)
_GROUP = frozenset({"command", "group"})
# Constants of the rules that are compared with text from the network and never shown.
_COMPARED = frozenset(
    {"not available", "just a moment", "attention required", "checking your browser"}
    | {"whoami system", "not dialled"}
)
# Single words that become parts of a reason; a longer text is recognised by its spaces.
_WORDS = (
    *("strong", "extreme", "suspected", "intercepted", "invalid", "slower", "TLS", "QUIC"),
    *("in-path", "on-path", "answered", "reset", "closed", "forwarded", "silent", " and "),
    *("slower in {pairs} pairs", "{rate} kbit/s", "{rate} Mbit/s", "{resolver} over {transport}"),
    *("The DNS query failed ({failure})", "other", "{among} had the same outcome ({op})"),
    *("The connection failed ({failure})", "TLS failed ({failure})", "QUIC failed ({failure})"),
    "The HTTP request failed ({failure})",
    *("{value} hours", "older than {days} days", "the spool exceeded {size} MB"),
    *("too large for the collector", "no reason given", "a list", "text", "one of: {words}"),
    *("a whole number, {least} or more", "a whole number, {least} to {most}"),
    "{among} had the same outcome at port {port} ({op})",
)
# What the operating system says, without its own translation.
_SYSTEM = (
    *("No such file or directory", "Permission denied", "Is a directory", "Not a directory"),
    *("No space left on device", "Read-only file system", "File exists", "Disk quota exceeded"),
)
# What click says itself; the releases of click differ in some of them.
_CLICK = (
    *("Usage:", "Options", "Commands", "Positional arguments", "default: {default}", "required"),
    *("Show this message and exit.", "Show the version and exit.", "Aborted!"),
    *("Error: {message}", "Try '{command} {option}' for help.", "Missing command."),
    *("Invalid value: {message}", "Invalid value for {param_hint}: {message}"),
    *("Missing argument", "Missing option", "Missing parameter", "Missing {param_type}"),
    *("No such option {name!r}.", "No such option: {name}", "No such command {name!r}."),
    *("Option {name!r} does not take a value.", "Error: invalid input"),
    *("{value!r} is not a valid {number_type}.", "{value} is not in the range {range}."),
)
_CLICK_PLURALS = (
    ("Did you mean {possibility}?", "(Possible options: {possibilities})"),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)


_SERVICES = "targets/services.toml"


class MarkError(ValueError):
    """A marked text that cannot be collected, such as an f-string."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text to translate; `plural` and `context` are None where there are none."""

    text: str
    file: str
    plural: str | None = None
    context: str | None = None


def messages() -> Iterator[Message]:
    """Every text, file by file."""
    for path in sorted((ROOT / "probe").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from _marked(tree, name)
        if name.startswith("probe/commands/") or name == "probe/command_line.py":
            yield from _help(tree, name)
        if name == "probe/config.py":
            yield from _settings(tree, name)
        if name.startswith(_REASONS):
            yield from _reasons(tree, name)
    yield from (Message(word, "tools/messages.py", context=REASON) for word in _WORDS)
    yield from (Message(part, _SERVICES, context=REASON) for part in _service_parts())
    for word in (*Failure, *TrustReason):
        yield Message(word.value, "probe/report/glossary.py", context=REASON)
    yield from (Message(text, "click") for text in _CLICK)
    yield from (Message(text, "errno") for text in _SYSTEM)
    yield from (Message(one, "click", plural=many) for one, many in _CLICK_PLURALS)


def _service_parts() -> list[str]:
    """The names of the parts of services, which become parts of a reason."""
    text = (ROOT / _SERVICES).read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r'^part = "(.+)"$', text, re.MULTILINE)))


def _marked(tree: ast.Module, file: str) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in _MARKS or not node.args:
            continue
        where = f"{file}:{node.lineno}"
        if any(isinstance(one, ast.JoinedStr) for one in ast.walk(node.args[0])):
            raise MarkError(f"{where}: an f-string is marked; use named placeholders and .format")
        values = [one.value for one in node.args if isinstance(one, ast.Constant)]
        texts = [value for value in values if isinstance(value, str)]
        if node.func.id == "ngettext":
            if len(texts) != 2:
                raise MarkError(f"{where}: ngettext expects two constant texts")
            yield Message(texts[0], file, plural=texts[1])
        elif texts:
            yield Message(texts[0], file)
        elif node.func.id == "N_":
            raise MarkError(f"{where}: N_ expects a constant text")


def _help(tree: ast.Module, file: str) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(map(_is_command, node.decorator_list)):
            yield from _paragraphs(ast.get_docstring(node) or "", file)
        if isinstance(node, ast.Call):
            for word in node.keywords:
                value = word.value
                if word.arg not in {"help", "epilog", "short_help"}:
                    continue
                if isinstance(value, ast.Constant):
                    yield from _paragraphs(str(value.value), file)
                elif isinstance(value, ast.JoinedStr):
                    yield Message(template(value), file, context=REASON)


def _settings(tree: ast.Module, file: str) -> Iterator[Message]:
    """What each setting means and expects, which the configuration translates when it shows it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "MEANINGS":
            pairs = [one for one in ast.walk(node) if isinstance(one, ast.Tuple)]
            texts = [text.value for pair in pairs for text in pair.elts if _is_text(text)]
            yield from (Message(str(text), file) for text in texts)


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _paragraphs(text: str, file: str) -> Iterator[Message]:
    for one in paragraphs(text):
        if one.strip():
            yield Message(one.removeprefix("\b\n"), file)


def _is_command(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and call.attr in _GROUP


def _reasons(tree: ast.Module, file: str) -> Iterator[Message]:
    for text in dict.fromkeys((*_sentences(tree), *_phrases(tree))):
        yield Message(text, file, context=REASON)


def _sentences(tree: ast.Module) -> Iterator[str]:
    """The sentences of the rules: the first lines of their docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(map(_is_rule, node.decorator_list)):
            yield (ast.get_docstring(node) or "").splitlines()[0]


def _is_rule(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "rule"
    )


def _phrases(tree: ast.Module) -> Iterator[str]:
    """Every other text of a module of rules that is prose, as a template."""
    inner = _parts_of_others(tree)
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr) and id(node) not in inner:
            text = template(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = "" if id(node) in inner else node.value
        text = text.strip(" ,;").removeprefix(". ")
        if _is_prose(text) and text not in _COMPARED:
            yield text


def _parts_of_others(tree: ast.Module) -> set[int]:
    """The nodes that are no text of their own: docstrings, decorators, parts of f-strings."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found |= {id(part) for one in node.decorator_list for part in ast.walk(one)}
        if isinstance(node, ast.JoinedStr):
            found |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            found |= {id(part) for part in ast.walk(node.format_spec)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
    return found


def template(node: ast.JoinedStr) -> str:
    """An f-string as a template: `{found.p:.4f}` becomes `{p}`."""
    pieces: list[str] = []
    used: set[str] = set()
    for part in node.values:
        if isinstance(part, ast.Constant):
            pieces.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            stem = _name(part.value)
            name = next(n for n in (stem, *(f"{stem}{i}" for i in range(2, 99))) if n not in used)
            used.add(name)
            pieces.append(f"{{{name}}}")
    return "".join(pieces)


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name):
            return name.strip("_")
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Name(id="len"), args=[inner]):
            return _name(inner)
        case ast.Call(func=ast.Name(id=name)):
            return name.strip("_")
        case ast.Call(func=ast.Attribute(attr="join"), args=[inner]):
            return _name(inner)
        case _:
            return "value"


def _is_prose(text: str) -> bool:
    """Two words at least, beside the gaps."""
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"\{\w+\}", " ", text))
    return " " in text and len(words) >= 2

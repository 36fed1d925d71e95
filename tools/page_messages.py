"""Collect the texts of the collector's pages: those of the templates, and the words of lists."""

from collections.abc import Iterator

from jinja2 import nodes
from jinja2.ext import extract_from_ast

from collector.web import rendering, words
from tools.messages import ROOT, Message

_TEMPLATES = ROOT / "collector" / "web" / "templates"


def page_messages() -> Iterator[Message]:
    """Every text, template by template."""
    environment = rendering.bare()
    for path in sorted([*_TEMPLATES.glob("*.html"), *_TEMPLATES.glob("*.atom")]):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        yield from _texts(tree, path.relative_to(ROOT).as_posix())
    for context, text in words.texts():
        yield Message(text, "collector/web/words.py", context=context)


def _texts(tree: nodes.Template, file: str) -> Iterator[Message]:
    for _, function, found in extract_from_ast(tree):
        given = found if isinstance(found, tuple) else (found,)
        texts = [one for one in given if one is not None]
        if function == "ngettext":
            yield Message(texts[0], file, plural=texts[1])
        elif function == "pgettext":
            yield Message(texts[1], file, context=texts[0])
        else:
            yield Message(texts[0], file)

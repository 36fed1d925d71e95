"""Make the long description of the wheel: the README, readable without the source tree.

A package index shows the README alone, where a link to another file of the tree leads nowhere, so
the text of such a link stays and its target goes. hatchling runs this while it builds
(`[tool.hatch.metadata.hooks.custom]` in pyproject.toml).
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)[^)]+\)")


def description(readme: str) -> str:
    """The README with links to the web only."""
    return _LINK.sub(r"\1", readme)


class ReadmeHook(MetadataHookInterface):
    """Gives hatchling the field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "charset": "UTF-8",
            "text": description(readme),
        }

"""Which pages of a session are read further than others.

Known devices freeze a connection after 16 to 64 KiB (net4people/bbs#490). A page of ordinary length
shows the earliest of them; a few pages of each run are read further, so that the later ones show as
well, at a bounded cost.
"""

from dataclasses import dataclass, field

# Bytes of a body beyond the latest known freeze.
FURTHER_CAP = 72 * 1024
PAGES = 6


@dataclass(slots=True)
class FurtherReading:
    """The URLs that are read further; at most `pages` of them.

    A page that came whole is read further once; one that did not, every time.
    """

    pages: int = PAGES
    _begun: set[str] = field(default_factory=set)
    _whole: set[str] = field(default_factory=set)
    _cut: set[str] = field(default_factory=set)

    def allows(self, url: str) -> bool:
        """Whether this page is read further now."""
        if url not in self._begun and len(self._begun) < self.pages:
            self._begun.add(url)
        return url in self._begun and url not in self._whole

    def note(self, url: str, *, whole: bool) -> None:
        """Tell how reading it further ended; the first time decides."""
        if url not in self._cut:
            (self._whole if whole else self._cut).add(url)

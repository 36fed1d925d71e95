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
    """The URLs that are read further; at most `pages` of them."""

    pages: int = PAGES
    urls: set[str] = field(default_factory=set)

    def allows(self, url: str) -> bool:
        """Whether this page is read further; once it is, every time."""
        if url not in self.urls and len(self.urls) < self.pages:
            self.urls.add(url)
        return url in self.urls

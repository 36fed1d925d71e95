"""Which pages of a session are read further than others.

Known devices freeze a connection after 16 to 64 KiB (net4people/bbs#490). A page of ordinary length
shows the earliest of them; a few pages of each run are read further, so that the later ones show as
well, at a bounded cost. A few more are read further where they come slowly, so that their rate
shows: what comes of a limited connection after some packets is the limit's rate alone. A policer
lets a burst through first, of a second of its rate: a sample of long pages is read beyond it.
"""

from msgspec import Struct, field

# Bytes of a body beyond the latest known freeze.
FURTHER_CAP = 72 * 1024
PAGES = 6
SLOW_PAGES = 8
# A policer of 1 Mbit/s that allows a burst of a second lets 128 KiB through at once. The rate is
# that of the later half.
LONG_CAP = 320 * 1024
LONG_PAGES = 2
# In which time a page of ordinary length comes over a line that nothing limits: round trips in
# which a server far away sends it (RFC 6928), and seconds besides.
_ROUNDS, _BESIDES = 2, 0.1


class FurtherReading(Struct):
    """The URLs that are read further; at most `pages` of them, and `slow_pages` that come slowly.

    A page that came whole is read further once; one that did not, or that came slowly, every time.
    Of the `pages`, `long_pages` are read to `LONG_CAP` if they are that long.
    """

    pages: int = PAGES
    slow_pages: int = SLOW_PAGES
    long_pages: int = LONG_PAGES
    _begun: set[str] = field(default_factory=set)
    _slow: set[str] = field(default_factory=set)
    _whole: set[str] = field(default_factory=set)
    _cut: set[str] = field(default_factory=set)
    _long: set[str] = field(default_factory=set)

    def allows(self, url: str, spread: float | None = None, trip: float = 0.0) -> bool:
        """Whether this page is read further now; its first bytes came in `spread` seconds."""
        slow = spread is not None and spread > _BESIDES + _ROUNDS * trip
        if url not in self._begun | self._slow:
            if len(self._begun) < self.pages:
                self._begun.add(url)
            elif slow and len(self._slow) < self.slow_pages:
                self._slow.add(url)
        return url in self._begun | self._slow and url not in self._whole

    def allows_long(self, url: str) -> bool:
        """Whether this page, which is read further and goes on, is read to `LONG_CAP` now."""
        if url in self._begun and len(self._long) < self.long_pages:
            self._long.add(url)
        return url in self._long

    def note(self, url: str, *, whole: bool, long: bool = False) -> None:
        """Tell how reading it further ended, and whether it was long; the first time decides."""
        if not long:
            self._long.discard(url)  # another page takes its place
        if url not in self._cut | self._slow:
            (self._whole if whole else self._cut).add(url)

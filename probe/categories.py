"""Which categories of sites are measured: the volunteer's choice, by the codes of Citizen Lab.

To look at some categories is a risk to some people, so those are left out until the volunteer
chooses them. The choice is recorded in the state folder; a configuration or option changes it:
`+LGBT` adds a category, `-NEWS` leaves one out, `NEWS,HUMR` without signs means only these, and
`all` means everything. A site without a category cannot be left out by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from probe import atomic_files
from probe.i18n import N_, _, ngettext

FILE = "categories.json"
ALL = "all"
# Circumvention: a question of its own, because in some countries the tools are forbidden.
CIRCUMVENTION = "ANON"
# Left out until they are chosen.
RISKY = ("PORN", "LGBT", "XED", "GMB", "MILX", "HATE", "DATE")
CAREFUL = frozenset({*RISKY, CIRCUMVENTION})

# Citizen Lab's codes (github.com/citizenlab/test-lists, lists/00-LEGEND-new_category_codes.csv).
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "ALDR": N_("alcohol and drugs"),
        "ANON": N_("circumvention tools: VPNs, proxies, Tor"),
        "COMM": N_("shops"),
        "COMT": N_("messengers and mail"),
        "CTRL": N_("sites that are not expected to be blocked"),
        "CULTR": N_("culture"),
        "DATE": N_("dating"),
        "ECON": N_("economy"),
        "ENV": N_("environment"),
        "FILE": N_("file sharing"),
        "GAME": N_("games"),
        "GMB": N_("gambling"),
        "GOVT": N_("government"),
        "GRP": N_("social networks"),
        "HACK": N_("hacking"),
        "HATE": N_("hate speech"),
        "HOST": N_("hosting"),
        "HUMR": N_("human rights"),
        "IGO": N_("international organisations"),
        "LGBT": N_("LGBT"),
        "MILX": N_("terrorism and militants"),
        "MISC": N_("miscellaneous"),
        "MMED": N_("photos and videos"),
        "NEWS": N_("news"),
        "POLR": N_("political criticism"),
        "PORN": N_("pornography"),
        "PROV": N_("provocative clothing"),
        "PUBH": N_("public health"),
        "REL": N_("religion"),
        "SRCH": N_("search engines"),
        "XED": N_("sex education"),
    }
)


class CategoryError(ValueError):
    """An invalid choice of categories; the message is one line."""


class CategoryChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the volunteer chose.

    Attributes:
        on: Chosen although they are left out otherwise.
        off: Left out.
        only: If not None, everything else is left out.
    """

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def measures(self, code: str, *, opted_in: bool = False) -> bool:
        """Whether sites of a category are measured; `opted_in`: from a list that was chosen."""
        if self.only is not None:
            return ALL in self.only or code in self.only
        if code in self.off or code in self.on:
            return code in self.on
        return opted_in or code not in CAREFUL

    def changed(self, words: Sequence[str]) -> "CategoryChoice":
        """This choice, changed by the words of a configuration or option; none change nothing.

        Raises:
            CategoryError: An unknown category, or words with and without a sign.
        """
        codes: dict[str, set[str]] = {}
        for word in words:
            sign = word[:1] if word[:1] in {"+", "-"} else ""
            codes.setdefault(sign, set()).add(word.removeprefix(sign).strip())
        if "" in codes and len(codes) > 1:
            raise CategoryError(_("either + or - before every category, or before none"))
        if "" in codes:
            only = frozenset(_code(word, everything=True) for word in codes[""])
            return CategoryChoice(on=self.on, off=self.off, only=only)
        on, off = (frozenset(map(_code, codes.get(sign, ()))) for sign in "+-")
        if both := on & off:
            message = _("{codes}: both added and left out")
            raise CategoryError(message.format(codes=", ".join(sorted(both))))
        return CategoryChoice(
            on=(self.on - off) | on, off=(self.off - on) | off, only=self._only(on, off)
        )

    def _only(self, on: frozenset[str], off: frozenset[str]) -> frozenset[str] | None:
        if self.only is None:
            return None
        every = frozenset(NAMES) if ALL in self.only else self.only
        return (every | on) - off


def _code(word: str, *, everything: bool = False) -> str:
    """A known code: after a mistyped one, more would be measured than was meant."""
    if everything and word.lower() == ALL:
        return ALL
    code = word.upper()
    if code in NAMES:
        return code
    from difflib import get_close_matches

    if near := get_close_matches(code, NAMES, n=1):
        message = _("there is no category {word}; did you mean {near}?")
        raise CategoryError(message.format(word=ascii(word), near=near[0]))
    message = _("there is no category {word}; there are: {codes}")
    raise CategoryError(message.format(word=ascii(word), codes=", ".join(NAMES)))


def read(state: Path) -> CategoryChoice:
    """The recorded choice; if there is none, or it is unreadable, the careful default."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=CategoryChoice)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return CategoryChoice()


def record(state: Path, choice: CategoryChoice) -> None:
    """Record a choice."""
    atomic_files.write(state / FILE, msgspec.json.encode(choice, order="sorted") + b"\n")


class LeftOut(msgspec.Struct):
    """Targets that the choice left out, counted by category."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, code: str, number: int = 1) -> None:
        """Count targets of a category."""
        self.counts[code] = self.counts.get(code, 0) + number

    @property
    def line(self) -> str | None:
        """What was left out and how to change that, in one line; None if nothing was."""
        if not self.counts:
            return None
        most = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))
        counts = ", ".join(f"{count} {code}" for code, count in most)
        number = sum(self.counts.values())
        message = ngettext(
            "{number} target is left out by its category ({counts}); choose: {command}",
            "{number} targets are left out by category ({counts}); choose: {command}",
            number,
        )
        command = "qazprobe consent --categories ask"
        return message.format(number=number, counts=counts, command=command)


def described(codes: Iterable[str]) -> str:
    """Codes with their names: `NEWS (news), HUMR (human rights)`."""
    return ", ".join(f"{code} ({_(NAMES[code])})" for code in codes)

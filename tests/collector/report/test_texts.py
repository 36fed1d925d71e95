"""The words of a report in its languages: the same keys with the same gaps, all used."""

import re
from pathlib import Path

from collector.report.texts import texts

SOURCES = Path(__file__).parents[3] / "collector" / "report"
_FAMILIES = ("change_", "country_", "gap_", "kind_", "outcome_", "proof_", "source_", "state_")


def gaps(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_has_the_same_texts_with_the_same_gaps() -> None:
    english = {key: gaps(text) for key, text in texts("en").items()}
    assert {key: gaps(text) for key, text in texts("ru").items()} == english
    assert {key: gaps(text) for key, text in texts("kk").items()} == english


def test_no_text_is_left_over() -> None:
    files = [*SOURCES.glob("*.py"), *SOURCES.glob("templates/*.html")]
    source = "".join(file.read_text() for file in files)
    unused = [key for key in texts("en") if f'"{key}"' not in source and f"'{key}'" not in source]
    assert [key for key in unused if not key.startswith(_FAMILIES)] == []

"""The lake that the benchmark makes, small."""

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")
pytest.importorskip("duckdb")

from bench import lake
from collector.lake import checking, engines, questions
from collector.lake.files import LakeFiles


def test_a_lake_is_made_where_none_is_and_every_question_has_an_answer(tmp_path: Path) -> None:
    files = LakeFiles(str(tmp_path / "lake"))
    lake.generate(files, 3000, 3)
    assert checking.faults(files) == []
    with engines.engine("duckdb", files) as opened:
        counted = opened.ask(questions.question("SELECT COUNT(*) AS n FROM measurements"), {})
        assert counted.column("n").to_pylist() == [3000]
        for name in questions.questions():
            asked = questions.find(name)
            opened.ask(asked, questions.filled(asked, {}))

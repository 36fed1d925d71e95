"""Certificates as files: what came, and what is the site's own, wherever that was seen."""

import base64
from pathlib import Path

from msgspec.structs import replace

from probe.model import Control, Role, Tls
from probe.report.certificate_export import export
from tests.probe import sample


def leaf(control: Control, der: bytes) -> Control:
    return replace(control, certs={sample.digest(der): base64.b64encode(der).decode()})


def names(paths: list[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_the_leaf_that_a_control_was_served_is_written_beside_the_forged_chain(
    tmp_path: Path,
) -> None:
    record = sample.intercepted()
    (seen,) = record.control
    again = replace(seen, id="c2")
    record = replace(record, control=(leaf(seen, sample.TRUE), leaf(again, sample.TRUE)))
    assert names(export(record, (), tmp_path)) == ["trusted-1.pem", "untrusted-1.pem"]
    text = (tmp_path / "trusted-1.pem").read_text()
    assert text.startswith("# served for a.example by 192.0.2.1 to a control, its record c1")
    assert base64.b64encode(sample.TRUE).decode() in text


def test_a_control_s_certificate_that_is_another_is_not_written(tmp_path: Path) -> None:
    record = sample.intercepted()
    (seen,) = record.control
    certs = {sample.digest(sample.TRUE): base64.b64encode(b"something else").decode()}
    record = replace(record, control=(replace(seen, certs=certs),))
    assert names(export(record, (), tmp_path)) == ["untrusted-1.pem"]


def test_what_an_unrelated_server_showed_to_the_name_is_written_too(tmp_path: Path) -> None:
    record = sample.intercepted()
    steps = tuple(
        replace(step, role=Role.NEUTRAL) if isinstance(step, Tls) else step for step in record.steps
    )
    assert names(export(replace(record, steps=steps), (), tmp_path)) == ["untrusted-1.pem"]


def test_an_unrelated_server_s_own_certificate_is_not_exported(tmp_path: Path) -> None:
    (true,) = sample.trusted().steps
    assert isinstance(true, Tls)
    assert true.trust is not None
    own = replace(true, role=Role.NEUTRAL, trust=replace(true.trust, valid=False, anchored=True))
    assert export(replace(sample.trusted(), steps=(own,)), (), tmp_path) == []

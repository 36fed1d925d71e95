"""Files of measurements: every form of them, and hostile ones."""

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from probe.interop.ooni.incoming import files
from tests.probe.interop.ooni.incoming.measured import measurement

UID = "20240212203351.123456_KZ_webconnectivity_0123456789abcdef"


def line(**more: object) -> bytes:
    return json.dumps(measurement(**more)).encode()  # type: ignore[arg-type]


def can(content: object) -> bytes:
    return json.dumps({"format": "json", "content": content, "is_verified": "u"}).encode()


def tar(**members: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"2024021220/{name}.post")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def found(tmp_path: Path, data: bytes, name: str = "some.file") -> list[files.Found]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(files.measurements(path))


FORMS = {
    "JSON lines": line() + b"\n" + line() + b"\n",
    "JSON lines, the last without an end": line() + b"\n\n" + line(),
    "gzip": gzip.compress(line() + b"\n" + line()),
    "two gzip members": gzip.compress(line() + b"\n") + gzip.compress(line()),
    "a list": b"[" + line() + b",\n" + line() + b"]",
    "an answer of the API over several lines, twice in a list": json.dumps(
        [measurement(), measurement()], indent=2
    ).encode(),
    "metadata with the measurement as text": b"\n".join(
        [json.dumps({"probe_cc": "KZ", "raw_measurement": line().decode()}).encode()] * 2
    ),
    "post cans with objects": tar(one=can(measurement()), two=can(measurement())),
    "post cans with texts, packed": gzip.compress(
        tar(one=can(line().decode()), two=can(line().decode()))
    ),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_every_form_gives_its_measurements(data: bytes, tmp_path: Path) -> None:
    every = found(tmp_path, data)
    assert [one.refused for one in every] == ["", ""]
    assert all(one.content["test_name"] == "web_connectivity" for one in every)


def test_one_measurement_over_several_lines(tmp_path: Path) -> None:
    (one,) = found(tmp_path, json.dumps(measurement(), indent=2).encode())
    assert one.content["input"]


def test_a_can_s_name_is_the_uid(tmp_path: Path) -> None:
    (one,) = found(tmp_path, tar(**{UID: can(measurement())}))
    assert one.uid == UID
    assert one.place.endswith(f"2024021220/{UID}.post")


def test_a_broken_line_is_told_with_its_place_and_the_rest_is_read(tmp_path: Path) -> None:
    bad = [b"{", b'{"a": NaN}', b"[" * 5000, b'"\\ud800"', b"\xff", b"7"]
    data = b"\n".join([line(), *bad, line()])
    every = found(tmp_path, data)
    assert [bool(one.refused) for one in every] == [False, *[True] * len(bad), False]
    assert [one.place.rpartition(":")[2] for one in every] == [str(n + 1) for n in range(8)]
    assert all("\n" not in one.refused for one in every)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x04\x22\x4d\x18rest", "LZ4"),
        (b"PK\x03\x04", "ZIP"),
        (gzip.compress(line())[:-9], "gzip"),
        (tar(one=can(measurement()), two=can(measurement()))[:1800], "damaged"),
        (gzip.compress(line())[:40] + b"\0" * 50, "gzip"),
    ],
    ids=["lz4", "zip", "cut off", "tar cut off", "garbage"],
)
def test_what_cannot_be_read_says_so(data: bytes, words: str, tmp_path: Path) -> None:
    assert words in found(tmp_path, data)[-1].refused


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    long = b'{"a": "' + b"x" * files.MEASUREMENT_BYTES + b'"}'
    every = found(tmp_path, b"\n".join([line(), long, line()]))
    assert [bool(one.refused) for one in every] == [False, True, False]


def test_a_bomb_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PASSED_OVER", 40 * 1024 * 1024)
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as bomb:
        for _ in range(64):
            bomb.write(b"0" * 1024 * 1024)
    tracemalloc.start()
    every = list(files.measurements(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.refused.rpartition("; ")[2] for one in every] == ["the rest is not read"]
    assert peak < 6 * files.MEASUREMENT_BYTES


def test_a_tar_header_that_promises_gigabytes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 * 1024**3
    header = info.tobuf(tarfile.GNU_FORMAT)
    (one,) = found(tmp_path, header + b"\0" * 4096)
    assert "damaged" in one.refused


def test_many_members_are_read_one_by_one(tmp_path: Path) -> None:
    small = msgspec.json.encode(measurement(queries=[]))
    data = tar(**{f"m{n}": can(small.decode()) for n in range(50)})
    assert len(found(tmp_path, data)) == 50


def test_a_member_that_is_too_large_is_told(tmp_path: Path) -> None:
    large = b" " * (files.MEASUREMENT_BYTES + 1)
    every = found(tmp_path, tar(one=large, two=can(measurement())))
    assert [bool(one.refused) for one in every] == [True, False]


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(files.measurements(tmp_path / "absent"))

"""Settings: three layers, and errors that say where, which key and what was expected."""

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from probe import config
from probe.config import (
    ConfigError,
    FailOn,
    Layer,
    Settings,
    environment_layer,
    file_layer,
    flag_layer,
)
from probe.model import Outcome


def settled(*layers: Layer) -> Settings:
    return config.merge(layers)


def test_the_later_layer_holds(tmp_path: Path) -> None:
    file = tmp_path / "qazprobe.toml"
    file.write_text('concurrency = 2\nmax_time = 60\ncollector = ["https://a.example"]\n')
    environment = environment_layer({"QAZPROBE_MAX_TIME": "90", "QAZPROBE_ASN": "9198"})
    flags = flag_layer({"concurrency": 4, "max_bytes": None, "collector": ()})
    settings = settled(file_layer(file, must_exist=True), environment, flags)
    assert settings.concurrency == 4
    assert settings.max_time == 90
    assert settings.asn == 9198
    assert settings.collector == ("https://a.example",)


def test_lists_may_be_written_with_commas() -> None:
    environment = environment_layer({"QAZPROBE_FAIL_ON": "blocked, intercepted"})
    settings = settled(environment, flag_layer({"experiments": ("web,throttle", "mitm")}))
    assert settings.fail_on == ("blocked", "intercepted")
    assert settings.experiments == ("web", "throttle", "mitm")


def test_the_home_folder_is_no_setting() -> None:
    assert environment_layer({"QAZPROBE_HOME": "/x", "PATH": "/bin"}).values == {}


def test_an_absent_file_is_empty_unless_it_was_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    assert file_layer(absent, must_exist=False).values == {}
    with pytest.raises(ConfigError, match="no such file"):
        file_layer(absent, must_exist=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('colector = "x"', "colector: unknown key; did you mean collector?"),
        ("zzz = 1", "zzz: unknown key; expected one of: targets"),
        ('concurrency = "many"', "concurrency: 'many'; expected a whole number, 1 to 256"),
        ("concurrency = 1000", "concurrency: 1000; expected a whole number, 1 to 256"),
        ('country = "Kazakhstan"', "country: 'Kazakhstan'; expected two letters"),
        ('fail_on = ["bad"]', "fail_on"),
        ("max_time = 0", "max_time: 0; expected a number above 0"),
        ('every = "soon"', "every: 'soon'; expected a duration"),
        ('kind = "cable"', "kind"),
        ("lab = [1]", "lab: [1]; expected true or false"),
        ("not toml at all", "not TOML"),
        ("seed = " + "1" * 5000, "not TOML"),
        ("seed = " + "[" * 5000, "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "qazprobe.toml"
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        settled(file_layer(file, must_exist=True))
    assert str(raised.value).startswith(f"{file}: ")
    assert expected in str(raised.value)


def test_each_layer_names_its_keys_in_its_own_way() -> None:
    with pytest.raises(ConfigError, match="environment: QAZPROBE_MAX_TIME: 'x'"):
        settled(environment_layer({"QAZPROBE_MAX_TIME": "x"}))
    with pytest.raises(ConfigError, match="command line: --max-time: -1"):
        settled(flag_layer({"max_time": -1.0}))


def test_private_roots_need_a_laboratory() -> None:
    with pytest.raises(ConfigError, match="add --lab"):
        settled(flag_layer({"ca_file": "x.pem"}))
    assert settled(flag_layer({"ca_file": "x.pem", "lab": True})).ca_file == "x.pem"


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        (flag_layer({"every": "1s"}), "command line: --every: 1 seconds"),
        (environment_layer({"QAZPROBE_EVERY": "59.9s"}), "environment: QAZPROBE_EVERY: 59.9"),
        (config.Layer({"every": 2}, "f.toml"), "f.toml: every: 2 seconds"),
    ],
)
def test_only_a_laboratory_repeats_more_often_than_every_minute(
    layer: config.Layer, place: str
) -> None:
    with pytest.raises(ConfigError, match=f"{place}.*; expected a minute or more"):
        settled(layer)
    assert settled(layer, flag_layer({"lab": True})).every
    assert settled(flag_layer({"every": "1m"})).every == config.SHORTEST_EVERY


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("15m", 900), ("2h", 7200), ("1.5d", 129600)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert config.duration(text) == seconds


@given(st.text(max_size=20))
def test_no_duration_breaks(text: str) -> None:
    with suppress(ConfigError):
        assert config.duration(text) > 0


@pytest.mark.parametrize("sign", ["^#", "^# *", r"^#(?=[a-z_]+ =|\[)"])
def test_every_line_of_the_template_may_be_uncommented(tmp_path: Path, sign: str) -> None:
    text = config.template()
    assert tomllib.loads(text) == {}
    file = tmp_path / "qazprobe.toml"
    file.write_text(re.sub(sign, "", text, flags=re.MULTILINE))
    given = tomllib.loads(file.read_text())
    assert set(given) == set(Settings.__struct_fields__) == set(config.MEANINGS)
    assert settled(file_layer(file, must_exist=True)) == Settings()


def test_a_run_can_fail_on_every_outcome_and_on_what_was_not_measured() -> None:
    assert get_args(FailOn) == (*Outcome, "unmeasured")


@pytest.mark.parametrize("key", ["targets", "collector", "fail_on", "categories"])
def test_an_empty_text_is_no_list(key: str) -> None:
    with pytest.raises(ConfigError, match=f"--{key.replace('_', '-')}: "):
        settled(flag_layer({key: ("",)}))
    with pytest.raises(ConfigError, match=f"QAZPROBE_{key.upper()}: "):
        settled(environment_layer({f"QAZPROBE_{key.upper()}": " , "}))
    assert getattr(settled(Layer({key: []}, "x.toml")), key) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("NWS", "there is no category 'NWS'; did you mean NEWS?"),
        ("+NEWS,HUMR", "either [+] or - before every category, or before none"),
        ("+NEWS,-NEWS", "NEWS: both added and left out"),
        ("zzz", "there is no category 'zzz'; there are: ALDR"),
    ],
)
def test_a_mistaken_category_stops_the_start(words: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"--categories: {said}"):
        settled(flag_layer({"categories": words}))

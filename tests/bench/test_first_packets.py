"""What is shown of first packets is what they say."""

from bench import first_packets


def test_the_probes_packets_are_taken_apart() -> None:
    mine = first_packets.ours()
    assert mine["dns"][0] == "flags 0x0120, counts (1, 0, 0, 1), type 1"
    assert mine["http"][:2] == ["GET / HTTP/1.1", "Host: site.example"]
    name = "extension 0x0000: 17 bytes 000f00000c736974652e6578616d706c65"
    assert name in mine["tls"]
    assert mine["tls"][0].startswith("record of ")


def test_a_name_is_looked_for_in_whole_requests_and_records() -> None:
    assert first_packets.query_lines(bytes(4) + b"\0\1" + bytes(6) + b"\1a\0\0\x41\0\1") == [
        "flags 0x0000, counts (1, 0, 0, 0), type 65",
        "then nothing",
    ]

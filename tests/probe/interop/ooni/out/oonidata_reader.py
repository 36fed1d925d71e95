"""Read exported files with OONI's own library, as its data pipeline does, for test_oonidata.

It runs in an environment of its own, where nothing of this project is. It prints one line of JSON:
how many measurements of each kind there were, and how many entries of each section.
"""

import io
import json
import sys
from collections import Counter
from pathlib import Path

from oonidata.dataclient import (  # type: ignore[import-not-found]
    get_file_entry_ext,
    get_filename_meta_v2,
    load_measurement,
    stream_jsonl,
)
from oonidata.datautils import (  # type: ignore[import-not-found]
    get_certificate_meta,
    get_html_title,
    is_ip_bogon,
)
from oonidata.models.dataformats import (  # type: ignore[import-not-found]
    maybe_binary_data_to_bytes,
)

found: Counter[str] = Counter()


def read(path: Path) -> None:
    about = get_filename_meta_v2(path.name)
    assert get_file_entry_ext(path.name) == "jsonl.gz"
    for line in stream_jsonl(io.BytesIO(path.read_bytes())):
        assert about.probe_cc == line["probe_cc"]
        assert about.testname == line["test_name"].replace("_", "")
        assert line["measurement_uid"].startswith(f"{about.timestamp:%Y%m%d%H}")
        measurement = load_measurement(msmt=line)
        found[type(measurement).__name__] += 1
        assert int(measurement.probe_asn[2:]) > 0
        assert measurement.to_dict(omit_none=True)["test_keys"]
        keys = measurement.test_keys
        for part in getattr(keys, "targets", {"": keys}).values():
            sections(part)


def sections(part: object) -> None:
    for query in getattr(part, "queries", None) or ():
        found["queries"] += 1
        for answer in query.answers:
            is_ip_bogon(answer.ipv4 or answer.ipv6 or "192.0.2.1")
    for connection in part.tcp_connect or ():  # type: ignore[attr-defined]
        found["tcp_connect"] += 1
        is_ip_bogon(connection.ip)
        assert connection.status.success == (connection.status.failure is None)
    for handshake in getattr(part, "tls_handshakes", None) or ():
        found["tls_handshakes"] += 1
        for certificate in handshake.peer_certificates:
            found["certificates"] += 1
            get_certificate_meta(maybe_binary_data_to_bytes(certificate))
    for transaction in getattr(part, "requests", None) or ():
        found["requests"] += 1
        transaction.response_sha1()
        get_html_title(transaction.response.body_bytes)
        transaction.response.get_first_http_header_str("location")
        assert transaction.request.headers_bytes


for name in sys.argv[1:]:
    read(Path(name))
print(json.dumps(found))

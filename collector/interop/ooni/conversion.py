"""The one door from what an OONI client sent to a record of ours."""

import msgspec

from probe.certificates.roots import Roots
from probe.interop.ooni.incoming.to_record import LeftOutError, to_record
from probe.model import Record


def record_of(content: bytes, name: str) -> Record | None:
    """The record that a measurement of this name is; None for an experiment that we do not have.

    Raises:
        ValueError: It is no measurement.
    """
    measurement = msgspec.json.decode(content)
    # Who could name a measurement could take the name of another one.
    named = {**measurement, "measurement_uid": name}
    try:
        return to_record(named, roots=Roots.mozilla())
    except LeftOutError:
        return None

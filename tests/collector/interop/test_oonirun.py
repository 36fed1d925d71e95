"""The operator's lists as OONI Run links."""

import asyncio
from pathlib import Path

import msgspec

from probe import targets
from tests.collector.harness import collector

LINKS = "/api/v2/oonirun/links"


def test_a_list_is_served_as_a_descriptor_that_a_probe_reads(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            every = (await harness.ask("GET", LINKS)).data["oonirun_links"]
            assert [one["oonirun_link_id"] for one in every] == ["1"]
            (name,) = harness.service.labels.names
            reply = await harness.ask("GET", f"{LINKS}/1")
            assert reply.status == 200
            assert reply.data == every[0]
            assert reply.data["name"] == name
            assert reply.data["is_expired"] is False
            assert reply.data["nettests"][0]["test_name"] == "web_connectivity"
            revision = reply.data["revision"]
            assert revision.isdigit()
            for path in (f"{LINKS}/{name}", f"{LINKS}/1/full-descriptor/{revision}"):
                assert (await harness.ask("GET", path)).data == reply.data
            found, problems = targets.parse_bytes(
                msgspec.json.encode(reply.data), "link.json", lab=True
            )
            assert problems == ()
            assert [(name, one.url, one.category or "") for one in found] == list(
                harness.service.labels.listed
            )
            missing = await harness.ask("GET", f"{LINKS}/999")
            assert missing.status == 404
            assert f"1 ({name})" in missing.data["error"]

    asyncio.run(scenario())

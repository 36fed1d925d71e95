"""Anonymous credentials: a client of OONI's library against the collector."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from collector.settings import OoniSettings
from tests.collector.harness import collector
from tests.collector.interop.ooni_client import as_text, get, measurement, post, send

ooniauth_py: Any = pytest.importorskip(
    "ooniauth_py", reason="ooniauth-py is not installed: pip install 'qazprobe[ooni]'"
)
CLIENTS = OoniSettings(clients=True)
AGENT = "miniooni/3.30.0 ooniprobe-engine/3.30.0"


class CredentialClient:
    """A client that asks for a credential and submits with it."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def enrol(self) -> None:
        found = (await send(self.url, get(self.url, "/api/v1/manifest", agent=AGENT))).data
        self.manifest, self.meta = found["manifest"], found["meta"]
        assert self.manifest["submission_policy"][-1]["match"] == {
            "probe_cc": "*",
            "probe_asn": "*",
        }
        self.state = ooniauth_py.UserState(self.manifest["public_parameters"])
        asked = {
            "manifest_version": self.meta["version"],
            "credential_sign_request": self.state.make_registration_request(),
        }
        reply = await self.post("/api/v1/sign_credential", asked)
        assert reply.status == 200
        assert reply.data["emission_day"] == ooniauth_py.ServerState.today()
        self.state.handle_registration_response(reply.data["credential_sign_response"])

    async def post(self, path: str, message: Any) -> Any:
        return await send(self.url, post(self.url, path, as_text(message), agent=AGENT))

    def submission(self, value: dict[str, Any]) -> dict[str, Any]:
        content = as_text(value).decode()
        policy = self.manifest["submission_policy"][-1]["policy"]
        made = self.state.make_submit_request_with_hash(
            value["probe_cc"],
            value["probe_asn"],
            content,
            tuple(policy["age"]),
            policy["min_measurement_count"],
        )
        return {
            "format": "json",
            "content": content,
            "nym": made.nym,
            "zkp_request": made.request,
            "manifest_version": self.meta["version"],
            "protocol_version": self.meta["protocol_version"],
        }


def test_a_credential_is_given_used_and_renewed_and_survives_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            client = CredentialClient(harness.url)
            await client.enrol()
            for _ in range(2):
                sent = client.submission(measurement())
                reply = (await client.post("/api/v1/submit_measurement", sent)).data
                assert reply["verification_status"] == "verified"
                assert reply["error"] is None
                client.state.handle_submit_response(reply["submit_response"])
            metrics = await harness.metrics()
            assert metrics['qazcollector_ooni_credentials_total{result="verified"}'] == 2
            (shown, *_) = (await harness.ask("GET", "/v1/measurements")).data["measurements"]
            assert shown["voting"] is False
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            client.url = harness.url
            sent = client.submission(measurement())
            reply = (await client.post("/api/v1/submit_measurement", sent)).data
            assert reply["verification_status"] == "verified"

    asyncio.run(scenario())


def test_a_proof_for_other_bytes_is_worth_nothing_and_the_measurement_is_kept(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            client = CredentialClient(harness.url)
            await client.enrol()
            sent = client.submission(measurement())
            changed = {**sent, "content": sent["content"].replace("miniooni", "minioonj")}
            for wrong in (
                changed,
                {**sent, "manifest_version": "other"},
                {**sent, "nym": ""},
                {**sent, "zkp_request": "AAAA"},
            ):
                reply = await client.post("/api/v1/submit_measurement", wrong)
                assert reply.status == 200
                assert reply.data["verification_status"] == "failed"
                assert reply.data["error"]
                assert reply.data["submit_response"] is None
                assert reply.data["measurement_uid"]
            asked = {"manifest_version": "other", "credential_sign_request": "x"}
            assert (await client.post("/api/v1/sign_credential", asked)).status == 400
            asked["manifest_version"] = client.meta["version"]
            assert (await client.post("/api/v1/sign_credential", asked)).status == 400

    asyncio.run(scenario())


def test_a_request_that_makes_the_library_panic_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "qazcollector")

    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            client = CredentialClient(harness.url)
            await client.enrol()
            asked = {"manifest_version": client.meta["version"]}
            asked["credential_sign_request"] = "AAAA" * 5000  # the neutral element
            assert (await client.post("/api/v1/sign_credential", asked)).status == 400
            await client.enrol()

    asyncio.run(scenario())
    assert "a credential was not given: PanicException" in caplog.text


def test_nothing_of_a_credential_is_stored(tmp_path: Path) -> None:
    kept = []

    async def scenario() -> None:
        async with collector(tmp_path, ooni=OoniSettings(clients=True, originals=True)) as harness:
            client = CredentialClient(harness.url)
            await client.enrol()
            sent = client.submission(measurement())
            await client.post("/api/v1/submit_measurement", sent)
            await harness.judged()
            kept.extend([sent["nym"], sent["zkp_request"][:64]])

    asyncio.run(scenario())
    for file in tmp_path.glob("store.sqlite3*"):
        assert not any(one.encode() in file.read_bytes() for one in kept)
    secret = tmp_path / "store.sqlite3.ooni"
    assert set(json.loads(secret.read_bytes())) == {"public", "secret", "made_day"}
    assert secret.stat().st_mode & 0o077 == 0

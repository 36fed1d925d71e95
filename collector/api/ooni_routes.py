"""The routes for OONI's clients, of a collector that was told to offer them."""

from pathlib import Path

from aiohttp import web

from collector.api import ooni_helper, ooni_measurements, ooni_services
from collector.api.ooni_bodies import own_thread
from collector.api.routes import Route
from collector.interop.ooni.credentials import authority
from collector.service import Service
from collector.settings import OoniSettings
from collector.store import sqlite_path

_CLIENTS = (
    Route("GET", "/api/v1/test-helpers", ooni_services.get_helpers),
    Route("POST", "/api/v1/check-in", ooni_services.post_check_in),
    Route("GET", "/api/v1/manifest", ooni_services.get_manifest, statuses=(404,)),
    Route("POST", "/api/v1/sign_credential", ooni_services.post_sign_credential, statuses=(404,)),
    Route("POST", "/api/v1/submit_measurement", ooni_measurements.post_submission),
    Route("POST", "/report", ooni_measurements.post_report),
    Route("POST", "/report/{report_id}", ooni_measurements.post_update),
    Route("POST", "/report/{report_id}/close", ooni_measurements.post_close),
    Route("POST", "/api/v1/register", ooni_services.post_register),
    Route("POST", "/api/v1/login", ooni_services.post_login, statuses=(401,)),
    Route(
        "GET",
        "/api/v1/test-list/tor-targets",
        ooni_services.get_tor_targets,
        ooni_services.TorParameters,
    ),
)
_ORIGINALS = Route(
    "GET",
    "/api/v1/raw_measurement",
    ooni_measurements.get_original,
    ooni_measurements.OriginalParameters,
    statuses=(401, 403, 404),
)
_HELPER = (
    Route("GET", ooni_services.HELPER_PATH, ooni_helper.get_health),
    Route("POST", ooni_services.HELPER_PATH, ooni_helper.post_question),
)


def ooni_routes(offered: OoniSettings) -> tuple[Route, ...]:
    """What these settings offer."""
    clients = _CLIENTS if offered.clients else ()
    originals = (_ORIGINALS,) if offered.clients and offered.originals else ()
    return (*clients, *originals, *(_HELPER if offered.helper else ()))


def prepare(app: web.Application, service: Service) -> None:
    """Add what the handlers need."""
    app.cleanup_ctx.append(own_thread)
    if not service.settings.ooni.clients:
        return
    app[ooni_measurements.DAILY] = ooni_measurements.daily_buckets(service)
    app[ooni_measurements.AUTHORITY] = authority(_secret_file(service.settings.store))


def _secret_file(store: str) -> Path | None:
    """Where the secret of credentials is kept; beside a shared store nowhere."""
    if not store.startswith("sqlite:"):
        return None
    file = sqlite_path(store)
    return file.with_name(f"{file.name}.ooni")

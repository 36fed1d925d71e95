"""The routes of one collector."""

from aiohttp import web

from collector.api import (
    control,
    enrolment,
    heartbeats,
    html_page,
    http,
    ingest,
    interceptions,
    public,
    query,
)
from collector.api.http import RouteHandler
from collector.service import SERVICE, Service

Route = tuple[str, str, RouteHandler]

METRICS: Route = ("GET", "/metrics", public.get_metrics)
HEALTH: tuple[Route, ...] = (
    ("GET", "/healthz", public.get_healthz),
    ("GET", "/readyz", public.get_readyz),
)
ROUTES: tuple[Route, ...] = (
    ("POST", "/v1/measurements", ingest.post_measurements),
    ("POST", "/v1/heartbeat", heartbeats.post_heartbeat),
    ("POST", "/v1/enroll", enrolment.post_enroll),
    ("DELETE", "/v1/probes/me", enrolment.delete_me),
    ("GET", "/v1/control", control.get_control),
    ("POST", "/v1/recheck", control.post_recheck),
    ("GET", "/v1/recheck", control.get_recheck),
    ("GET", "/v1/service", public.get_service),
    ("GET", "/v1/targets", public.get_targets),
    ("GET", "/v1/vantage", public.get_vantage),
    ("GET", "/v1/measurements", query.get_measurements),
    ("GET", "/v1/measurements/{id}", query.get_measurement),
    ("GET", "/v1/verdicts", query.get_verdicts),
    ("GET", "/v1/events", query.get_events),
    ("GET", "/v1/interceptions", interceptions.get_interceptions),
    ("GET", "/v1/export/interceptions", interceptions.get_export),
    ("GET", "/v1/certificates/{file}", interceptions.get_certificate),
    ("GET", "/v1/export", query.get_export),
    ("GET", "/", html_page.get_page),
)


def make_app(service: Service) -> web.Application:
    """The public application; it has `/metrics` unless that has an address of its own."""
    own = service.settings.metrics is not None
    return _app(service, (*ROUTES, *HEALTH, *(() if own else (METRICS,))))


def make_metrics_app(service: Service) -> web.Application:
    """The application on the address of `/metrics`, for the operator's Prometheus."""
    return _app(service, (*HEALTH, METRICS))


def _app(service: Service, routes: tuple[Route, ...]) -> web.Application:
    limit = service.settings.limits.body_bytes
    app = web.Application(middlewares=[http.guard], client_max_size=limit)
    app[SERVICE] = service
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    app.on_response_prepare.append(http.add_security_headers)
    return app

"""The routes of one collector."""

from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.api import (
    control,
    enrolment,
    events,
    exports,
    heartbeats,
    html_page,
    http,
    ingest,
    interceptions,
    operator,
    parameters,
    public,
    query,
)
from collector.api.http import RouteHandler
from collector.api.interceptions import InterceptionParameters
from collector.api.operator import MAIN_LOOP, MainLoop
from collector.api.parameters import Parameters, PlaceParameters
from collector.api.queueing import queued
from collector.service import SERVICE, QueueName, Service


class Route(NamedTuple):
    """One method on one path, its parameters, and the queue of its readers."""

    method: str
    path: str
    handler: RouteHandler
    parameters: type[Parameters] = Parameters
    queue: QueueName | None = None


METRICS = Route("GET", "/metrics", public.get_metrics, queue="read")
HEALTH = (
    Route("GET", "/healthz", public.get_healthz),
    Route("GET", "/readyz", public.get_readyz),
)
OPERATOR = (
    Route("GET", "/metrics", operator.get_metrics),
    Route("GET", "/healthz", operator.get_healthz),
    Route("GET", "/readyz", operator.get_readyz),
)
ROUTES = (
    Route("POST", "/v1/measurements", ingest.post_measurements),
    Route("POST", "/v1/heartbeat", heartbeats.post_heartbeat),
    Route("POST", "/v1/enroll", enrolment.post_enroll),
    Route("DELETE", "/v1/probes/me", enrolment.delete_me),
    Route("GET", "/v1/control", control.get_control, control.ControlParameters, "control"),
    Route("POST", "/v1/recheck", control.post_recheck),
    Route("GET", "/v1/recheck", control.get_recheck, control.RecheckParameters),
    Route("GET", "/v1/service", public.get_service),
    Route("GET", "/v1/targets", public.get_targets, public.ListParameters),
    Route("GET", "/v1/vantage", public.get_vantage),
    Route("GET", "/v1/measurements", query.get_measurements, query.PageParameters, "read"),
    Route("GET", "/v1/measurements/{id}", query.get_measurement),
    Route("GET", "/v1/verdicts", query.get_verdicts, PlaceParameters, "read"),
    Route("GET", "/v1/events", events.get_events, events.EventParameters, "read"),
    Route(
        "GET", "/v1/interceptions", interceptions.get_interceptions, InterceptionParameters, "read"
    ),
    Route(
        "GET", "/v1/export/interceptions", interceptions.get_export, InterceptionParameters, "read"
    ),
    Route("GET", "/v1/certificates/{file}", interceptions.get_certificate),
    Route("GET", "/v1/export", exports.get_export, exports.ExportParameters, "export"),
    Route("GET", "/", html_page.get_page, queue="read"),
)


def make_app(service: Service) -> web.Application:
    """The public application; it has `/metrics` unless that has an address of its own."""
    own = service.settings.metrics is not None
    return _app(service, (*ROUTES, *HEALTH, *(() if own else (METRICS,))), http.guard)


def make_operator_app(service: Service, main: MainLoop) -> web.Application:
    """The application for the operator and their Prometheus, which runs in another thread."""
    app = _app(service, OPERATOR, operator.guard)
    app[MAIN_LOOP] = main
    return app


def _app(service: Service, routes: tuple[Route, ...], guard: Middleware) -> web.Application:
    limit = service.settings.limits.body_bytes
    app = web.Application(middlewares=[guard], client_max_size=limit)
    app[SERVICE] = service
    for route in routes:
        handler = queued(route.handler, route.queue) if route.queue else route.handler
        handler = parameters.checked(handler, route.parameters)
        app.router.add_route(route.method, route.path, handler)
    app.on_response_prepare.append(http.add_security_headers)
    return app

"""The routes of one collector."""

from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.api import (
    admin_pages,
    control,
    enrolment,
    event_messages,
    events,
    exports,
    heartbeats,
    hourly,
    http,
    ingest,
    interceptions,
    negotiation,
    openapi,
    operator,
    parameters,
    public,
    query,
)
from collector.api.neighbours import NEIGHBOURS
from collector.api.operator import MAIN_LOOP, MainLoop
from collector.api.operator_access import FORM_KEY, new_form_key
from collector.api.pages.page import for_people
from collector.api.pages.routes import PAGES
from collector.api.queueing import queued
from collector.api.routes import ROUTE, Route
from collector.service import SERVICE, Service
from probe import api_types, codec

TEXT, HTML = ("text/plain",), ("text/html",)
TABLE = ("application/json", "text/csv")
# A file that is compressed as a whole is no text.
FILES = (
    *(negotiation.MEDIA[one] for one in ("jsonl", "csv", "parquet")),
    "application/octet-stream",
)
METRICS = Route("GET", "/metrics", public.get_metrics, queue="page", media=TEXT)
HEALTH = (
    Route("GET", "/healthz", public.get_healthz, media=TEXT),
    Route("GET", "/readyz", public.get_readyz, media=TEXT),
)
OPERATOR = (
    Route("GET", "/metrics", operator.get_metrics, media=TEXT),
    Route("GET", "/healthz", operator.get_healthz, media=TEXT),
    Route("GET", "/readyz", operator.get_readyz, media=TEXT),
)
ROUTES = (
    Route(
        "POST",
        "/v1/measurements",
        ingest.post_measurements,
        reply=api_types.BatchReply,
        access="signed",
        body_media=codec.BATCH_TYPE,
    ),
    Route(
        "POST",
        "/v1/heartbeat",
        heartbeats.post_heartbeat,
        reply=api_types.HeartbeatReply,
        access="signed",
        body=api_types.Heartbeat,
    ),
    Route(
        "POST",
        "/v1/enroll",
        enrolment.post_enroll,
        reply=api_types.EnrolReply,
        body=api_types.EnrolRequest,
        statuses=(403,),
    ),
    Route(
        "DELETE",
        "/v1/probes/me",
        enrolment.delete_me,
        reply=enrolment.Erased,
        access="signed",
    ),
    Route(
        "GET",
        "/v1/control",
        control.get_control,
        control.ControlParameters,
        "control",
        api_types.ControlReply,
    ),
    Route(
        "POST",
        "/v1/recheck",
        control.post_recheck,
        reply=api_types.ControlReply,
        access="signed",
        body=api_types.RecheckRequest,
    ),
    Route(
        "GET",
        "/v1/recheck",
        control.get_recheck,
        control.RecheckParameters,
        reply=api_types.RecheckJobs,
        access="signed",
    ),
    Route("GET", "/v1/service", public.get_service, reply=api_types.ServiceReply),
    Route(
        "GET",
        "/v1/targets",
        public.get_targets,
        public.ListParameters,
        media=("text/csv",),
        access="open",
        statuses=(404,),
    ),
    Route("GET", "/v1/vantage", public.get_vantage, reply=api_types.VantageReply),
    Route(
        "GET",
        "/v1/measurements",
        query.get_measurements,
        query.PageParameters,
        "read",
        query.MeasurementPage,
        TABLE,
        "open",
    ),
    Route(
        "GET",
        "/v1/measurements/{id}",
        query.get_measurement,
        reply=query.MeasurementReply,
        access="open",
        statuses=(404,),
    ),
    Route(
        "GET",
        "/v1/verdicts",
        query.get_verdicts,
        query.VerdictParameters,
        "read",
        query.VerdictPage,
        TABLE,
        "open",
    ),
    Route(
        "GET",
        "/v1/hourly",
        hourly.get_hourly,
        hourly.HourlyParameters,
        "read",
        hourly.HourlyPage,
        (*TABLE, negotiation.MEDIA["parquet"]),
        "open",
        statuses=(206, 416, 501),
    ),
    Route(
        "GET",
        "/v1/events",
        events.get_events,
        events.EventParameters,
        "read",
        event_messages.EventPage,
        TABLE,
        "open",
    ),
    Route(
        "GET",
        "/v1/events/{id}",
        events.get_event,
        queue="read",
        reply=event_messages.EventDetail,
        access="open",
        statuses=(404,),
    ),
    Route(
        "GET",
        "/v1/waves",
        events.get_waves,
        events.WaveParameters,
        "read",
        event_messages.WavePage,
        TABLE,
        "open",
    ),
    Route(
        "GET",
        "/v1/interceptions",
        interceptions.get_interceptions,
        interceptions.InterceptionParameters,
        "read",
        interceptions.InterceptionPage,
        TABLE,
        "open",
    ),
    Route(
        "GET",
        "/v1/export/interceptions",
        interceptions.get_export,
        interceptions.InterceptionParameters,
        "read",
        interceptions.InterceptionPage,
        TABLE[::-1],
        "open",
    ),
    Route(
        "GET",
        "/v1/certificates/{file}",
        interceptions.get_certificate,
        media=("application/x-pem-file",),
        access="open",
        statuses=(404,),
    ),
    Route(
        "GET",
        "/v1/export",
        exports.get_export,
        exports.ExportParameters,
        "export",
        media=FILES,
        access="open",
        statuses=(206, 416, 501),
    ),
    *NEIGHBOURS,
    Route("GET", "/v1/openapi.json", openapi.get_openapi, access="open"),
    *PAGES,
)


ADMIN = (
    Route("GET", "/admin", admin_pages.get_admin, media=HTML),
    Route("GET", "/admin/keys", admin_pages.get_keys, admin_pages.KeysParameters, media=HTML),
    Route("POST", "/admin/exclude", admin_pages.post_exclude, media=HTML),
    Route("POST", "/admin/include", admin_pages.post_include, media=HTML),
)


def make_app(service: Service) -> web.Application:
    """The public application; it has `/metrics` unless that has an address of its own."""
    own = service.settings.metrics is not None
    routes = (*ROUTES, *HEALTH, *(() if own else (METRICS,)))
    offered = service.settings.ooni
    if not (offered.clients or offered.helper):
        return _app(service, routes, http.guard)
    from collector.api import ooni_routes

    app = _app(service, (*routes, *ooni_routes.ooni_routes(offered)), http.guard)
    ooni_routes.prepare(app, service)
    return app


def make_operator_app(service: Service, main: MainLoop, *, pages: bool) -> web.Application:
    """The application for the operator and their Prometheus, which runs in another thread."""
    app = _app(service, (*OPERATOR, *(ADMIN if pages else ())), operator.guard)
    app[MAIN_LOOP] = main
    app[FORM_KEY] = new_form_key()
    return app


def _app(service: Service, routes: tuple[Route, ...], guard: Middleware) -> web.Application:
    limit = service.settings.limits.body_bytes
    app = web.Application(middlewares=[guard], client_max_size=limit)
    app[SERVICE] = service
    app[openapi.DESCRIPTION] = openapi.described(routes)
    for route in routes:
        handler = _handler(route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET" and route.access != "signed":
            app.router.add_route("HEAD", route.path, handler)
        if route.access == "open":
            app.router.add_route("OPTIONS", route.path, negotiation.preflight)
    app.on_response_prepare.append(http.add_security_headers)
    app.on_response_prepare.append(negotiation.add_sharing_headers)
    return app


def _handler(route: Route) -> http.RouteHandler:
    handler = queued(route.handler, route.queue) if route.queue else route.handler
    handler = parameters.checked(handler, route.parameters)
    if route in PAGES:
        handler = for_people(handler)

    async def handle(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route
        return await handler(request)

    return handle

"""Pages of the lab's sites, of realistic size and partly different on every visit."""

import hashlib
import random
import time
from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import count
from urllib.parse import quote, urlsplit

from probe.lab.scenario import LabSite, Page, PageKind

_VOCABULARY = (
    "market report council river border station harvest weather minister school energy price "
    "train history league concert museum border tender factory election water mountain airport "
    "doctor village bridge budget student engine winter summer letter journal forest square"
)
_WORDS = tuple(_VOCABULARY.split())
_visits = count(1)


@dataclass(frozen=True, slots=True)
class PageResponse:
    """One HTTP response before it is encoded."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    451: "Unavailable For Legal Reasons",
    503: "Service Unavailable",
}


def encode(answer: PageResponse, *, clock: float = 0.0) -> bytes:
    """A response as HTTP/1.1 bytes; `clock`: true time minus local time, seconds."""
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"Date: {formatdate(time.time() + clock, usegmt=True)}"]
    lines += [f"Content-Length: {len(answer.body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body


def answer(site: LabSite, page: Page, path: str) -> PageResponse:
    """The response of a site at a path."""
    match page.kind:
        case "redirect":
            return redirect(page.to or "/", page.status if page.status != 200 else 301)
        case "loop":
            return redirect(f"https://{site.name}/step-{next(_visits) % 1000}", 302)
        case "broken_redirect":
            return redirect("https:///:0", 302)
        case "challenge":
            return _challenge(site)
        case "legal":
            return block_page(page.status)
        case kind:
            return _fixed(site, kind, path)


def _fixed(site: LabSite, kind: PageKind, path: str) -> PageResponse:
    """A page that depends on its kind alone."""
    match kind:
        case "untitled":
            return _page(200, "nginx", b"<html><body>" + _prose(site.name, 3).encode() + b"</body>")
        case "small":
            return _page(200, "nginx", _html(site.name, f"<h1>{site.name}</h1><p>It works.</p>"))
        case "large":
            return _page(200, "nginx", _large(site.name))
    refused = _REFUSED.get(kind)
    return _page(*refused) if refused else _page(200, "nginx", _news(site.name, path))


def redirect(to: str, status: int) -> PageResponse:
    """A redirect."""
    safe = quote(to, safe=":/?&=%#")
    body = _html(f"{status} Moved", f'<a href="{safe}">Moved</a>')
    return PageResponse(status, (("Server", "nginx"), ("Location", safe), _HTML), body)


def with_ports(answer: PageResponse, secure: int, plain: int) -> PageResponse:
    """The response with these ports in its Location header."""
    if (secure, plain) == (443, 80):
        return answer
    headers = tuple(
        (name, with_port(value, secure, plain) if name == "Location" else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers)


def with_alt_svc(answer: PageResponse, site: LabSite) -> PageResponse:
    """The response with an Alt-Svc header if the site advertises HTTP/3."""
    if site.quic == "no":
        return answer
    return replace(answer, headers=(*answer.headers, ("Alt-Svc", 'h3=":443"; ma=86400')))


def with_port(url: str, secure: int, plain: int) -> str:
    """An absolute URL without a port gets the one of its scheme; other URLs are unchanged."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or ":" in parts.netloc:
        return url
    port = secure if parts.scheme == "https" else plain
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


_HTML = ("Content-Type", "text/html; charset=utf-8")


def _page(status: int, server: str, body: bytes) -> PageResponse:
    token = hashlib.sha256(str(next(_visits)).encode()).hexdigest()
    headers = (
        ("Server", server),
        _HTML,
        ("Cache-Control", "max-age=60"),
        ("Set-Cookie", f"visit={token[:16]}; path=/"),
    )
    return PageResponse(status, headers, body)


def _html(title: str, body: str) -> bytes:
    head = f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head>'
    return f"{head}<body>{body}</body></html>".encode()


def _prose(seed: str, paragraphs: int) -> str:
    words = random.Random(seed)
    return "".join(
        f"<p>{' '.join(words.choice(_WORDS) for _ in range(60)).capitalize()}.</p>"
        for _ in range(paragraphs)
    )


def _news(name: str, path: str) -> bytes:
    """A front page: constant articles, a changing counter and one changing paragraph."""
    visit = next(_visits)
    seed = random.Random(name)
    articles = "".join(
        f'<article><h2><a href="https://{name}/story/{index}">'
        f"{' '.join(seed.choice(_WORDS) for _ in range(7)).capitalize()}</a></h2>"
        f"{_prose(f'{name}{index}', 3)}</article>"
        for index in range(seed.randint(12, 30))
    )
    live = f"<aside>Visitors today: {visit}. {_prose(str(visit), 1)}</aside>"
    links = f'<a href="https://cdn.{name}/app.js">app</a><a href="https://{name}/about">about</a>'
    title = f"{name.partition('.')[0].capitalize()}: news and views{path if path != '/' else ''}"
    return _html(title, f"<nav>{links}</nav>{live}<main>{articles}</main>")


def _large(name: str) -> bytes:
    body = _prose(name, 40)
    return _html(f"{name}: the whole archive", body * (3_000_000 // len(body)))


def _challenge(site: LabSite) -> PageResponse:
    script = f"/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1?ray={next(_visits):016x}"
    text = "Checking your browser before accessing the site. Enable JavaScript and cookies."
    body = _html("Just a moment...", f'<p>{site.name}: {text}</p><script src="{script}"></script>')
    headers = (
        ("Server", "cloudflare"),
        ("CF-Ray", f"{next(_visits):016x}-FRA"),
        ("cf-mitigated", "challenge"),
        _HTML,
    )
    return PageResponse(403, headers, body)


def block_page(status: int) -> PageResponse:
    """The block page of the lab's censor."""
    text = (
        "<h1>Доступ к информационному ресурсу ограничен</h1>"  # noqa: RUF001 - it is in Russian
        "<p>Доступ к запрашиваемому ресурсу "  # noqa: RUF001 - it is in Russian
        "ограничен на основании предписания уполномоченного органа.</p>"
        "<p>Сұралған ресурсқа қол жеткізу шектелген.</p>"
    )
    return PageResponse(status, (("Server", "nginx"), _HTML), _html("Доступ ограничен", text))


def portal_page() -> PageResponse:
    """The page of a captive portal."""
    form = '<form method="post" action="/login"><input name="room"><input name="surname"></form>'
    body = _html("Welcome to the hotel wireless", f"<h1>Please sign in</h1>{form}")
    return PageResponse(200, (("Server", "mikrotik"), _HTML), body)


_REFUSED: dict[PageKind, tuple[int, str, bytes]] = {
    "forbidden": (403, "nginx", _html("403 Forbidden", "<h1>403 Forbidden</h1>")),
    "unavailable": (503, "nginx", _html("503 Service Temporarily Unavailable", "<h1>503</h1>")),
    "robots": (999, "ATS", b"<script>window.onload = ask;</script>"),
    "abroad_only": (
        200,
        "nginx",
        _html("Access restricted", "<h1>Not available in your country</h1>"),
    ),
}

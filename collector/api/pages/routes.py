"""The routes of the pages for people."""

from collector.api.pages import overview
from collector.api.pages.page import PersonParameters
from collector.api.routes import Route

HTML = ("text/html",)
PAGES = (Route("GET", "/", overview.get_overview, PersonParameters, "page", media=HTML),)

"""HTML pages from templates."""

from typing import Any

from jinja2 import Environment, StrictUndefined


def fill(template: str, **content: Any) -> str:
    """Fill in a Jinja template: everything is escaped but what is Markup, and a name that is not given is an error."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(**content)

"""Template tags that bring the browser client into a page.

``{% resilient_client %}`` loads it for scripts that come after it, which find the class as the
global ``ResilientSocket``; ``{% resilient_client_url %}`` is its address, for an ``import`` or an
import map. Both go through the static files storage, so hashed file names are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.templatetags.static import static
from django.utils.html import format_html

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

PATH = "resilient_channels/resilient-socket.js"

register = template.Library()


@register.simple_tag
def resilient_client_url() -> str:
    """Return the address of the browser client, an ES module."""
    return static(PATH)


@register.simple_tag(takes_context=True)
def resilient_client(context: template.Context, nonce: object = None) -> SafeString:
    """Load the browser client: module and deferred scripts after the tag use ``ResilientSocket``.

    Args:
        context: The template's.
        nonce: The Content Security Policy's nonce. Found without being given if it is in the
            context as ``csp_nonce`` (Django 6.0) or is the request's ``csp_nonce`` (django-csp).
    """
    if nonce is None:
        nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(context.get("request"), "csp_nonce", None)
    # Whether there is one was asked with `is`: a lazy nonce that nobody has used yet is false.
    given = "" if nonce is None else str(nonce)
    return format_html(
        '<script type="module" src="{}"{} data-resilient-client></script>',
        static(PATH),
        format_html(' nonce="{}"', given) if given else "",
    )

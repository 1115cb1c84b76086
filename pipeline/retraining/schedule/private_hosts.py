"""Which addresses only machines of the same network can reach."""

import ipaddress
import socket
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from pipeline.tracking.connection import address

PRIVATE_ENDINGS = (
    ".local", ".localhost", ".localdomain", ".internal", ".intranet", ".lan", ".corp", ".home", ".private", ".svc", ".test",
    ".home.arpa",
)  # fmt: skip
"""Endings of names that the public domain name system does not know."""


def _resolved(name: str) -> set[str]:
    """The addresses that this machine knows a name by; none if it knows none."""
    try:
        return {str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def private_host(uri: str, *, resolved: Callable[[str], Collection[str]] = _resolved) -> str | None:
    """The host of an address that GitHub's machines cannot reach; None if they may reach it, or if it names no host. A
    name is private if all its addresses are, as this machine resolves it; of one that it cannot resolve, the ending tells.
    """
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return None
    if host is None:
        return None
    try:
        return None if ipaddress.ip_address(host).is_global else host
    except ValueError:  # a name
        name = host.rstrip(".")
    if "." not in name or name.endswith(PRIVATE_ENDINGS):
        return host
    found = [ipaddress.ip_address(each.partition("%")[0]) for each in resolved(name)]
    return host if found and not any(each.is_global for each in found) else None


def is_here(uri: str) -> bool:
    """Whether an address is a file or folder, or a server, of this machine."""
    return address.on_this_machine(uri) or urlsplit(uri).scheme == "file" or uri.startswith(("/", "./"))

"""Which addresses only machines of the same network can reach."""

import ipaddress
from urllib.parse import urlsplit

from pipeline.tracking.connection import address

PRIVATE_ENDINGS = (
    ".local", ".localhost", ".localdomain", ".internal", ".intranet", ".lan", ".corp", ".home", ".private", ".svc", ".test",
    ".home.arpa",
)  # fmt: skip
"""Endings of names that the public domain name system does not know."""


def private_host(uri: str) -> str | None:
    """The host of an address that GitHub's machines cannot reach; None if they may reach it, or if it names no host."""
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
        return host if "." not in name or name.endswith(PRIVATE_ENDINGS) else None


def is_here(uri: str) -> bool:
    """Whether an address is a file or folder, or a server, of this machine."""
    return address.on_this_machine(uri) or urlsplit(uri).scheme == "file" or uri.startswith(("/", "./"))

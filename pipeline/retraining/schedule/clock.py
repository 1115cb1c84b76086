"""The machine's time zone, which cron and systemd use. TZ of this process does not count."""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

LOCALTIME, TIMEZONE = Path("/etc/localtime"), Path("/etc/timezone")
AREAS = ("UTC", "Europe/", "America/", "Asia/", "Africa/", "Australia/", "Pacific/", "Atlantic/", "Indian/", "Etc/")
"""Of zones with the same rules, the first by this order is named."""
WEEKS = 60
"""Clocks that agree in each of so many weeks from now on are the same."""


@dataclass(frozen=True)
class Clock:
    """The clock of this machine."""

    zone: tzinfo
    name: str
    """Of the time zone, such as `Europe/Berlin`; empty if it has no name."""
    note: str = ""
    """How the zone was found, where that is not certain."""


def machine_clock() -> Clock:
    """The zone that /etc/localtime links to. Where it is a copy, the zone that /etc/timezone names or, if that has other
    rules, any zone with the same rules.
    """
    if not LOCALTIME.exists():
        return Clock(UTC, "UTC")
    _, linked, name = str(LOCALTIME.resolve()).partition("zoneinfo/")
    if linked and (zone := _zone(name)) is not None:
        return Clock(zone, name)
    try:
        with LOCALTIME.open("rb") as file:
            rules = zoneinfo.ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return Clock(UTC, "UTC", f"{LOCALTIME} cannot be read: the time is taken as UTC")
    for name in [*_named(), *sorted(zoneinfo.available_timezones(), key=_order)]:
        zone = _zone(name)
        if zone is not None and _same(zone, rules):
            return Clock(zone, name, f"{LOCALTIME} is no link to a time zone; its rules are those of {name}")
    return Clock(rules, "", f"{LOCALTIME} is no link to a time zone, and no zone with a name has its rules")


def _named() -> list[str]:
    try:
        return TIMEZONE.read_text(encoding="utf-8").split()[:1]
    except (OSError, ValueError):
        return []


def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return None


def _order(name: str) -> tuple[int, str]:
    places = [place for place, area in enumerate(AREAS) if name.startswith(area)]
    return (places[0] if places else len(AREAS), name)


def _same(one: tzinfo, other: tzinfo) -> bool:
    now = datetime.now(UTC)
    times = [now + timedelta(weeks=week) for week in range(WEEKS)]
    return all(each.astimezone(one).utcoffset() == each.astimezone(other).utcoffset() for each in times)

"""Office Open XML is XML in a zip archive: members with their bounds, and XML without entities."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.opened import Opened

MOST_NESTED = 200
"""Elements inside each other."""


@contextmanager
def unpacked(document: Opened) -> Iterator[zipfile.ZipFile]:
    """The archive, if what it says it holds is within the bounds; no member gives more than it says."""
    limits = document.limits
    try:
        with zipfile.ZipFile(document.file) as archive:
            members = archive.infolist()
            if len(members) > limits.members:
                raise InvalidFile(f"the archive has more than {limits.members} members", bound="members")
            if sum(member.file_size for member in members) > limits.unpacked_bytes:
                raise InvalidFile(
                    f"the archive unpacks to more than {limits.unpacked_bytes} bytes", bound="unpacked_bytes"
                )
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, RecursionError):
            raise
        raise InvalidFile(f"the archive cannot be read: {error}") from error


def events(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[str, Element]]:
    """("start" | "end", element) of a member's XML, as it is read. Raises InvalidFile."""
    depth = 0
    try:
        with archive.open(name) as member:
            for event, element in iterparse(member, ("start", "end"), forbid_dtd=True):
                depth += 1 if event == "start" else -1
                if depth > MOST_NESTED:
                    raise InvalidFile(f"{name}: more than {MOST_NESTED} elements inside each other")
                yield event, element
    except KeyError as error:
        raise InvalidFile(f"the document lacks {name}") from error
    except DefusedXmlException as error:
        raise InvalidFile(f"{name} declares a document type or entities, which is refused") from error
    except ParseError as error:
        raise InvalidFile(f"{name} is no XML: {error}") from error


def relations(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """Relation id -> member, of the member `name`."""
    folder, base = posixpath.split(name)
    found: dict[str, str] = {}
    for event, element in events(archive, f"{folder}/_rels/{base}.rels"):
        if event == "end" and element.tag.endswith("}Relationship") and element.get("TargetMode") != "External":
            target = element.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
            found[element.get("Id", "")] = path
    return found


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def attribute(element: Element, name: str) -> Any:
    """An attribute by its name without its namespace."""
    return next((value for key, value in element.items() if key.rpartition("}")[2] == name), None)

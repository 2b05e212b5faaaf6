"""The Files API of a workspace on a folder of this machine: volumes, and what registered models hold."""

from __future__ import annotations

import re
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from course.files import write_whole
from projects.platforms.databricks.access import Refused

ROOTS = r"/(Volumes|Models)/[^/]+/[^/]+/[^/]+(/.*)?"


class Volumes:
    """Files below `folder`, by the platform's paths (`/Volumes/catalog/schema/volume/…`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def local(self, path: str) -> Path:
        """Return where a platform's path is on this machine. Raises Refused outside of all volumes."""
        parts = path.split("/")
        if not re.fullmatch(ROOTS, path) or ".." in parts or "\\" in path or "\0" in path:
            message = f"Invalid path: {path}. Paths look like /Volumes/<catalog>/<schema>/<volume>/<file>."
            raise Refused(400, "INVALID_PARAMETER_VALUE", message)
        return self.folder.joinpath(*[part for part in parts if part])

    def directory(self, method: str, path: str) -> Response:
        """Answer `/api/2.0/fs/directories`."""
        path = unquote(path)
        place = self.local(path)
        if method == "PUT":
            place.mkdir(parents=True, exist_ok=True)
            return Response(status_code=204)
        if not place.is_dir():
            raise Refused(404, "NOT_FOUND", f"The directory being accessed is not found: {path}")
        if method == "HEAD":
            return Response()
        if method == "DELETE":
            place.rmdir()
            return Response(status_code=204)
        return JSONResponse({"contents": [self._entry(path, one) for one in sorted(place.iterdir())]})

    def _entry(self, path: str, one: Path) -> dict[str, object]:
        stat = one.stat()
        entry = {"path": f"{path.rstrip('/')}/{one.name}", "name": one.name, "is_directory": one.is_dir()}
        return entry | {"file_size": stat.st_size, "last_modified": int(1000 * stat.st_mtime)}

    def file(self, method: str, path: str, body: bytes, asked: str = "") -> Response:
        """Answer `/api/2.0/fs/files`; `asked` is the header `Range`, of which one piece is served."""
        place = self.local(unquote(path))
        if method == "PUT":
            write_whole(place, body)
            return Response(status_code=204)
        if not place.is_file():
            raise Refused(404, "NOT_FOUND", f"The file being accessed is not found: {unquote(path)}")
        if method == "DELETE":
            place.unlink()
            return Response(status_code=204)
        content, kind = place.read_bytes(), "application/octet-stream"
        headers = {"last-modified": formatdate(place.stat().st_mtime, usegmt=True)}
        if method == "HEAD":
            return Response(headers=headers | {"content-length": str(len(content))}, media_type=kind)
        if piece := re.fullmatch(r"bytes=(\d+)-(\d*)", asked):
            first, last = int(piece[1]), int(piece[2] or len(content) - 1)
            part = content[first : last + 1]
            headers["content-range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            return Response(part, 206, headers, kind)
        return Response(content, headers=headers, media_type=kind)

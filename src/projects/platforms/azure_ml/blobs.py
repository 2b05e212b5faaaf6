"""The few calls of Azure's blob storage with which the SDK uploads code, behind a signed address."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from starlette.responses import Response

from course.files import write_whole
from projects.platforms.azure_ml.access import Refused


class Blobs:
    """Blobs of containers below `folder`. A signature opens one container until it ends (a SAS address)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._key = folder, secrets.token_bytes(32)
        self._notes: dict[tuple[str, str], dict[str, str]] = {}

    def signed(self, here: str, container: str, seconds: float = 3600) -> str:
        """Return the address of a container that opens it for a while."""
        ends = str(int(time.time() + seconds))
        query = urlencode({"se": ends, "sp": "rcwl", "sig": self._sign(container, ends)})
        return f"{here}/blobs/{container}?{query}"

    def _sign(self, container: str, ends: str) -> str:
        return hmac.new(self._key, f"{container} {ends}".encode(), hashlib.sha256).hexdigest()

    def place(self, container: str, name: str = "") -> Path:
        """Return where a blob lies on this machine. Raises Refused for a name that leaves the container."""
        if not re.fullmatch(r"[a-z0-9-]{3,63}", container) or ".." in name.split("/") or "\\" in name:
            raise Refused(
                400, "InvalidResourceName", f"Container {container!r} or blob {name!r} is not valid."
            )
        return self.folder.joinpath(container, *[part for part in name.split("/") if part])

    def answer(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> Response:
        """Answer one request for a container or a blob of it. Raises Refused."""
        container, _, name = path.partition("/")
        ends = query.get("se", "0")
        fits = hmac.compare_digest(self._sign(container, ends), query.get("sig", ""))
        if not fits or float(ends) <= time.time():
            raise Refused(
                403, "AuthenticationFailed", "Server failed to authenticate the request: signature or expiry."
            )
        place = self.place(container, name)
        if not name:
            if query.get("comp") == "list":
                return self._listed(container, query.get("prefix", ""))
            return Response(status_code=201 if method == "PUT" else 200)
        noted = {key: value for key, value in headers.items() if key.startswith("x-ms-meta-")}
        if method == "PUT":
            if query.get("comp") != "metadata":
                write_whole(place, body)
            self._notes[container, name] = noted
            return Response(
                status_code=201 if query.get("comp") != "metadata" else 200, headers=self._head(place)
            )
        if not place.is_file():
            raise Refused(404, "BlobNotFound", "The specified blob does not exist.")
        kept = self._head(place) | self._notes.get((container, name), {})
        content = b"" if method == "HEAD" else place.read_bytes()
        kept["content-length"] = str(place.stat().st_size)
        return Response(content, headers=kept, media_type="application/octet-stream")

    def _head(self, place: Path) -> dict[str, str]:
        stat = place.stat()
        when = formatdate(stat.st_mtime, usegmt=True)
        return {"etag": f'"{stat.st_mtime_ns:x}"', "last-modified": when, "x-ms-blob-type": "BlockBlob"}

    def _listed(self, container: str, prefix: str) -> Response:
        root = self.place(container)
        names = sorted(one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file())
        rows = [f"<Blob><Name>{escape(name)}</Name></Blob>" for name in names if name.startswith(prefix)]
        text = "".join(['<?xml version="1.0"?><EnumerationResults><Blobs>', *rows])
        text += "</Blobs><NextMarker/></EnumerationResults>"
        return Response(text, media_type="application/xml")


def pending_upload(here: str, blobs: Blobs, container: str) -> dict[str, Any]:
    """Return the answer to `startPendingUpload`: where a version's files go, and what opens it."""
    address = blobs.signed(here, container)
    return {
        "pendingUploadId": container,
        "pendingUploadType": "TemporaryBlobReference",
        "blobReferenceForConsumption": {
            "blobUri": address.partition("?")[0],
            "storageAccountArmId": "",
            "credential": {"credentialType": "SAS", "sasUri": address},
        },
    }

"""Image archives: reading their names, and making the one image that the cluster itself needs."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from dev.host import Failure

_IMAGE_NAME = "io.containerd.image.name"
_REFERENCE = "org.opencontainers.image.ref.name"
_OCI = "application/vnd.oci.image"


def write_single_program(program: Path, name: str, archive: Path) -> None:
    """Write an OCI archive of an image that is one static program."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs: list[bytes] = [layer, _json(config)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _descriptor(blobs[1], "config.v1+json"),
        "layers": [_descriptor(layer, "layer.v1.tar")],
    }
    blobs.append(_json(manifest))
    entry = {**_descriptor(blobs[2], "manifest.v1+json"), "annotations": {_IMAGE_NAME: name}}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **{f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in blobs},
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    new = archive.with_name(f".{archive.name}.new")
    new.write_bytes(_tar(files, mode=0o644))
    new.replace(archive)


def require_named(archive: Path) -> None:
    """Refuse an archive whose image would get a name that no pod can use.

    Raises:
        Failure: the file is no archive of images, or its image has no full name.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            index = json.load(member) if member else {}
    except KeyError:
        return  # `docker save` format: its list of names is complete
    except (OSError, tarfile.TarError, ValueError) as error:
        raise Failure(f"{archive} is no image archive: {error}") from None
    if not is_named(index):
        raise Failure(f"{archive} does not say full image names (registry/path:tag).")


def is_named(index: Any) -> bool:
    """Whether every image of an OCI index has a full name.

    containerd would make `import-2030-01-01:latest` of a short one.
    """
    notes = [entry.get("annotations", {}) for entry in index.get("manifests", [])]
    return bool(notes) and all(
        _IMAGE_NAME in note or "/" in note.get(_REFERENCE, "") for note in notes
    )


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(blob), "size": len(blob)}

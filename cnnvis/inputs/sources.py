"""Sources of files that may be missing: addresses, and the ``source.yaml`` beside a path.

A file of a configuration is a path, an address, or an address with its checksum. A path that does
not exist yet may be described by the ``source.yaml`` in its folder, as in ``models/``. Only
missing files have a rule that makes them; a file that is there is never requested again.
"""

import hashlib
import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cnnvis.core.checkout import ROOT
from cnnvis.core.errors import UserError

SCHEMA = ROOT / "models" / "schema.yaml"
NAME = "source.yaml"
DOWNLOADS = "results/downloads"
# Bytes of a name that are kept: with what is put before and behind it, 255 are allowed.
LONGEST = 200


def read_source(path):
    """Read and check a ``source.yaml``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
        As ``models/schema.yaml`` describes it.

    Raises
    ------
    UserError
        If it cannot be read or does not follow the schema.
    """
    import yaml

    from cnnvis.core.schema_errors import check_extent, schema_errors

    try:
        source = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    # A date that does not exist is a ValueError.
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())})"
        ) from error
    check_extent(source, path)
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    lines = [line for _, line in schema_errors(source, schema)]
    if lines:
        raise UserError(f"{path}: {'; '.join(lines[:3])}")
    for name, entry in source["files"].items():
        if entry.get("decoded_from", name) not in source["files"]:
            raise UserError(
                f"{path}: files.{name}.decoded_from: {entry['decoded_from']!r} is not one of its "
                f"files; expected one of {', '.join(source['files'])}"
            )
    return source


def described(path):
    """Return the entry of a file in the ``source.yaml`` beside it, or None.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict or None
        ``urls`` or ``archive`` or ``decoded_from``, and optionally ``size``, ``sha1`` and
        ``sha256``.

    Raises
    ------
    UserError
        If the ``source.yaml`` is wrong.
    """
    path = Path(path)
    source = path.with_name(NAME)
    return read_source(source)["files"].get(path.name) if os.path.isfile(source) else None


def as_file(value):
    """Return where a file of a configuration is or will be, and how it is downloaded.

    Parameters
    ----------
    value : str or dict
        A path; an address; or ``{"url": address, "sha256": checksum}``.

    Returns
    -------
    path : str
        The path itself; for an address one in ``results/downloads``, whose name begins with a
        digest of the address and the checksum, so that another address is another file.
    entry : dict or None
        ``urls`` and ``sha256`` of an address.

    >>> as_file("images/cat.jpg")
    ('images/cat.jpg', None)
    >>> as_file("https://example.org/a/cat.jpg?raw=1")[0]
    'results/downloads/79f37dde-cat.jpg'
    """
    entry = value if isinstance(value, dict) else {"url": str(value)}
    address, checksum = entry["url"], {key: entry[key] for key in entry if key == "sha256"}
    try:
        parts = urlsplit(address)
    except ValueError:  # no address, such as https://[; nor is there a file of that name
        return address, None
    if parts.scheme not in ("http", "https"):
        return address, None
    digest = hashlib.sha256(" ".join([address, *checksum.values()]).encode()).hexdigest()[:8]
    name = PurePosixPath(unquote(parts.path)).name or "file"
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    name = name.encode()[-LONGEST:].decode(errors="ignore")
    return f"{DOWNLOADS}/{digest}-{name}", {"urls": [address], **checksum}


def missing_files(files):
    """Say how files that are missing can be made.

    Parameters
    ----------
    files : iterable of (str, dict or None)
        Paths and entries, as `as_file` returns them. Files that are there are left out, and so
        are those without an entry.

    Returns
    -------
    downloads : dict
        ``{path: entry}`` of files to download (see `cnnvis.inputs.downloads.fetch_file`).
    decoded : dict
        ``{path: path of the compressed file}`` of weights to decode for the ``deploy.prototxt``
        beside them.

    Raises
    ------
    UserError
        If a ``source.yaml`` is wrong.
    """
    downloads, decoded = {}, {}
    for path, entry in files:
        if os.path.exists(path):
            continue
        entry = entry or described(path) or {}
        if "decoded_from" in entry:
            compressed = str(Path(path).with_name(entry["decoded_from"]))
            decoded[path] = compressed
            if not os.path.exists(compressed):
                downloads[compressed] = described(compressed)
        elif entry:
            downloads[path] = entry
    return downloads, decoded

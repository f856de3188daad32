"""Where files come from that may not be here yet: addresses, and ``source.yaml`` beside them.

A file of a configuration is a path, or an address, or an address with its checksum. A path that
does not exist yet may be described by the ``source.yaml`` in its folder, as those of ``models/``
are. What is here is never asked about again: only missing files have a rule that makes them.
"""

import hashlib
import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cnnvis.core.errors import UserError

SCHEMA = Path(__file__).resolve().parents[2] / "models" / "schema.yaml"
NAME = "source.yaml"
DOWNLOADS = "results/downloads"


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
        If it cannot be read or says something that the schema does not know.
    """
    import yaml

    from cnnvis.core.schema_errors import schema_errors

    try:
        source = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())})"
        ) from error
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
    """Return what the ``source.yaml`` beside `path` says about it, or None.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict or None
        ``urls`` or ``archive`` or ``decoded_from``, and what is known of ``size``, ``sha1``,
        ``sha256``.

    Raises
    ------
    UserError
        If the ``source.yaml`` is wrong.
    """
    path = Path(path)
    source = path.with_name(NAME)
    return read_source(source)["files"].get(path.name) if source.is_file() else None


def is_address(text):
    """Return whether a text is an address rather than a path.

    >>> is_address("https://example.org/cat.jpg"), is_address("images/cat.jpg")
    (True, False)
    """
    return urlsplit(str(text)).scheme in ("http", "https")


def as_file(value):
    """Return where a file of a configuration is or will be, and what is known of it.

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
    if isinstance(value, dict):
        address, known = value["url"], {key: value[key] for key in ("sha256",) if key in value}
    else:
        address, known = str(value), {}
        if not is_address(address):
            return address, None
    digest = hashlib.sha256(" ".join([address, *known.values()]).encode()).hexdigest()[:8]
    name = PurePosixPath(unquote(urlsplit(address).path)).name or "file"
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    return f"{DOWNLOADS}/{digest}-{name}", {"urls": [address], **known}


def missing_files(files):
    """Say how files that are not here can be made.

    Parameters
    ----------
    files : iterable of (str, dict or None)
        Paths and what is known of them, as `as_file` returns it. What is on disk is left out.

    Returns
    -------
    downloads : dict
        ``{path: entry}`` to be fetched (see `cnnvis.inputs.downloads.fetch_file`).
    decoded : dict
        ``{path: path of the compressed file}`` to be decoded, by ``deploy.prototxt`` beside them.
    unknown : list of str
        Paths that nothing is known about.

    Raises
    ------
    UserError
        If a ``source.yaml`` is wrong.
    """
    downloads, decoded, unknown = {}, {}, []
    for path, given in files:
        if os.path.exists(path):
            continue
        entry = given or described(path)
        if entry is None:
            unknown.append(path)
        elif "decoded_from" in entry:
            compressed = str(Path(path).with_name(entry["decoded_from"]))
            decoded[path] = compressed
            if not os.path.exists(compressed):
                downloads[compressed] = described(compressed)
        else:
            downloads[path] = entry
    return downloads, decoded, unknown

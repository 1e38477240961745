"""Archives whose bytes depend on nothing but names, contents and one time stamp."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def checksums(files: Iterable[Path], base: Path) -> str:
    """Lines for ``sha256sum --check``, run in ``base``; sorted by name."""
    named = sorted((str(file.relative_to(base)), file) for file in files)
    return "".join(f"{digest(file)}  {name}\n" for name, file in named)


def pack(folder: Path, archive: Path, epoch: int) -> None:
    """Pack a folder under its own name, owned by root; scripts are executable, nothing else is."""
    # gzip writes a file name and a time into its header unless told not to
    with archive.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed:
        _write(folder, packed, epoch)


def _write(folder: Path, stream: gzip.GzipFile | BinaryIO, epoch: int) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = tarfile.TarInfo(str(path.relative_to(folder.parent)))
            entry.mtime = epoch
            entry.uname = entry.gname = "root"
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
                continue
            entry.mode = 0o755 if path.suffix == ".sh" else 0o644
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(entry, content)

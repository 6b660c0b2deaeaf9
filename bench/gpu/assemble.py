"""Puts the GPU kit together from its pieces; needs nothing but Python's standard library.

    python3 assemble.py PIECES KIT

PIECES holds pieces.json and some of the pieces. Each is checked against its SHA-256 and kept in KIT/pieces; when all
have arrived, in one call or several, they are unpacked into KIT and deleted. Exit code 3 while some are missing.
"""

import hashlib
import json
import lzma
import shutil
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

INCOMPLETE = 3


def accept(source: Path, arrived: Path, piece: dict) -> None:
    """Takes a piece over if it is here; a damaged one ends the program."""
    here = source / piece["name"]
    if not here.exists() or (arrived / piece["name"]).exists():
        return
    content = here.read_bytes()
    if hashlib.sha256(content).hexdigest() != piece["sha256"]:
        sys.exit(f"error: {piece['name']} is damaged: its SHA-256 is not that of pieces.json")
    partial = arrived / f".{piece['name']}"
    partial.write_bytes(content)
    partial.rename(arrived / piece["name"])


def decompress(path: Path) -> Path:
    raw = path.with_suffix(".raw")
    with lzma.open(path) as source, raw.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return raw


class Joined:
    """Files read one after the other."""

    def __init__(self, paths):
        self.paths, self.file = list(paths), None

    def read(self, size):
        parts = []
        while size > 0:
            if self.file is None:
                if not self.paths:
                    break
                self.file = self.paths.pop(0).open("rb")
            part = self.file.read(size)
            if not part:
                self.file.close()
                self.file = None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def main() -> None:
    source, kit = Path(sys.argv[1]), Path(sys.argv[2])
    pieces = json.loads((source / "pieces.json").read_text())["pieces"]
    arrived = kit / "pieces"
    done = kit / "kit.json"
    if done.exists() and json.loads(done.read_text()) == pieces:
        print(f"{kit} is whole already")
        return
    arrived.mkdir(parents=True, exist_ok=True)
    for piece in pieces:
        accept(source, arrived, piece)
    missing = [piece["name"] for piece in pieces if not (arrived / piece["name"]).exists()]
    if missing:
        print(f"{len(pieces) - len(missing)} of {len(pieces)} pieces are here; missing: {' '.join(missing)}")
        sys.exit(INCOMPLETE)

    with ProcessPoolExecutor() as pool:
        raw = list(pool.map(decompress, [arrived / piece["name"] for piece in pieces]))
    with tarfile.open(fileobj=Joined(raw), mode="r|") as archive:
        archive.extractall(kit, filter="tar")
    shutil.rmtree(arrived)
    done.write_text(json.dumps(pieces))
    print(f"{kit} is whole: {sum(piece['bytes'] for piece in pieces) / 1e6:.0f} MB in {len(pieces)} pieces")


if __name__ == "__main__":
    main()

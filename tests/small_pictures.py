"""Pictures made so small that letters are shades of grey: kept as they once were looked at, and compared with.

Each eight by eight pixels become their mean, so that what smooths letters, and how many pixels a screen has, hardly
count; what has another colour, is gone or stands elsewhere does.
"""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

FACTOR = 8
"""Pixels of a page that become one, either way."""
BLOCK = 4
"""Small pixels looked at together, either way: 32 of the page."""
STEP = 8
"""Shades kept apart are so far from each other: half the bytes."""
GAP = (255, 0, 255)
"""Beneath a picture that is shorter than others of its sheet."""

Picture = NDArray[np.uint8]


class Difference(NamedTuple):
    """How far two pictures are apart, in shades of 0 to 255: on the whole, and where they differ most."""

    mean: float
    worst: float


def small(page: Page, *, scale: int = 1) -> Picture:
    """The whole page as it is shown now, made small; `scale` is how many pixels of its screen make one of its own."""
    shot = base64.b64encode(page.screenshot(full_page=True, type="jpeg", quality=95)).decode()
    width, height, shades = page.evaluate(_REDUCE, [shot, FACTOR * scale])
    found = np.frombuffer(base64.b64decode(shades), np.uint8).reshape(height, width, 3)
    return found // STEP * STEP


_REDUCE = """async ([shot, factor]) => {
  const blob = new Blob([Uint8Array.from(atob(shot), (c) => c.charCodeAt(0))], { type: "image/jpeg" });
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  const from = canvas.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const width = Math.floor(bitmap.width / factor), height = Math.floor(bitmap.height / factor);
  const means = new Uint8Array(width * height * 3), line = bitmap.width * 4;
  for (let row = 0, to = 0; row < height; row++) for (let column = 0; column < width; column++, to += 3) {
    let red = 0, green = 0, blue = 0;
    for (let y = 0; y < factor; y++) {
      let at = (row * factor + y) * line + column * factor * 4;
      for (let x = 0; x < factor; x++, at += 4) { red += from[at]; green += from[at + 1]; blue += from[at + 2]; }
    }
    means[to] = red / factor ** 2; means[to + 1] = green / factor ** 2; means[to + 2] = blue / factor ** 2;
  }
  return [width, height, btoa(Array.from(means, (one) => String.fromCharCode(one)).join(""))];
}"""


def differ(one: Picture, other: Picture) -> Difference:
    """How far apart they are; a picture of another size is as far as can be, a line of small pixels aside."""
    if one.shape[1] != other.shape[1] or abs(len(one) - len(other)) > 1:
        return Difference(255.0, 255.0)
    height, width = min(len(one), len(other)) // BLOCK * BLOCK, one.shape[1] // BLOCK * BLOCK
    apart = np.abs(one[:height, :width].astype(float) - other[:height, :width])
    blocks = apart.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean(axis=(1, 3)).max(axis=2)
    return Difference(float(apart.mean()), float(blocks.max()))


# ------------------------------------------------------------------------------------------------- kept
def keep(path: Path, pictures: Mapping[str, Picture]) -> None:
    """All of them side by side in one PNG, which also says whose they are."""
    tallest = max(map(len, pictures.values()))
    columns = []
    for one in pictures.values():
        gap = np.full((tallest - len(one), one.shape[1], 3), GAP, np.uint8)
        columns.append(np.concatenate([one, gap]))
    sheet = np.concatenate(columns, axis=1)
    names = ",".join(f"{name}:{len(one)}x{one.shape[1]}" for name, one in pictures.items())
    rows = np.concatenate([np.zeros((tallest, 1), np.uint8), sheet.reshape(tallest, -1)], axis=1)
    head = struct.pack(">IIBBBBB", sheet.shape[1], tallest, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"tEXt", b"Comment\0" + names.encode()), (b"IDAT", zlib.compress(rows.tobytes(), 9))]
    path.write_bytes(_PNG + b"".join(_chunk(*part) for part in [*parts, (b"IEND", b"")]))


def kept(path: Path) -> dict[str, Picture]:
    """The pictures of such a PNG."""
    chunks = dict(_chunks(path.read_bytes()))
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * 3)
    sheet, found, left = rows[:, 1:].reshape(height, width, 3), dict[str, Picture](), 0
    for named in chunks[b"tEXt"].removeprefix(b"Comment\0").decode().split(","):
        name, _, size = named.partition(":")
        tall, wide = map(int, size.split("x"))
        found[name] = sheet[:tall, left : left + wide]
        left += wide
    return found


_PNG = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(png: bytes) -> Sequence[tuple[bytes, bytes]]:
    found, at = [], len(_PNG)
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return found

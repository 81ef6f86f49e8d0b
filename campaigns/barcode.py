"""A code as Code 128 bars, readable by any till's scanner, or as a QR square for telephones, drawn as a PNG."""

import io
import struct
import zlib

import segno

# Widths of bars and spaces of the 107 symbols of Code 128, in the order of the standard (ISO/IEC 15417).
_WIDTHS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
).split()
SHOWN_HEIGHT = 66
"""Of the bars in a message, in its own pixels: half of those drawn, for sharp screens."""
_START_B, _STOP, _QUIET = 104, 106, 10


def width(text: str) -> int:
    """How many modules the bars of a text take, quiet zones included: eleven a symbol, thirteen for the last."""
    return 11 * (len(text) + 2) + 13 + 2 * _QUIET


def bars(text: str) -> str:
    """One character a module, `1` black and `0` white, quiet zones included; printable ASCII only."""
    if not text or not all(32 <= ord(letter) < 127 for letter in text):
        raise ValueError("a barcode holds printable ASCII only")
    symbols = [_START_B, *(ord(letter) - 32 for letter in text)]
    check = (symbols[0] + sum(place * symbol for place, symbol in enumerate(symbols))) % 103
    widths = "".join(_WIDTHS[symbol] for symbol in (*symbols, check, _STOP))
    body = "".join("10"[place % 2] * int(width) for place, width in enumerate(widths))
    return "0" * _QUIET + body + "0" * _QUIET


def png(text: str, *, module: int = 3, height: int = 132) -> bytes:
    """The bars as a one-bit grey PNG, `module` pixels to the thinnest bar."""
    pixels = "".join({"1": "0", "0": "1"}[bar] * module for bar in bars(text))
    width = len(pixels)
    packed = pixels.ljust(-(-width // 8) * 8, "1")
    row = b"\0" + int(packed, 2).to_bytes(len(packed) // 8, "big")
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(row * height, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def square(text: str, *, module: int = 6) -> bytes:
    """The text as a QR code with its quiet zone (ISO/IEC 18004), `module` pixels to a module."""
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="png", scale=module, border=4)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

import io

import pytest
from faces import encoded, noise
from PIL import Image, features

from ferpipe.data.formats import HEAD, READ, SIGNATURES, detect

COLOUR = noise(1, mode="RGB")
MADE = {
    "PNG": encoded(COLOUR),
    "JPEG": encoded(COLOUR, "JPEG"),
    "MPO, which is a JPEG": encoded(COLOUR, "MPO", save_all=True, append_images=[COLOUR]),
    "GIF": encoded(COLOUR.quantize(16), "GIF"),
    "BMP": encoded(COLOUR, "BMP"),
    "TIFF": encoded(COLOUR, "TIFF"),
    "TIFF, big": encoded(COLOUR, "TIFF", big_tiff=True),
    "WEBP": encoded(COLOUR, "WEBP"),
    **{f"PPM of {mode}": encoded(COLOUR.convert(mode), "PPM") for mode in ("1", "L", "RGB")},
    "PPM with a comment": b"P5\n# by hand\n2 1\n255\nab",
    "JPEG 2000": encoded(COLOUR, "JPEG2000"),
}
OTHERS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "HEIC of another brand": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1",
    "JPEG XL": b"\xff\x0a" + bytes(20),
}
NONE = {
    "empty": b"",
    "text": b"BM is no bitmap, and GIF is three letters",
    "text of P5": b"P5,angry",
    "plain PNM, which may be a table": b"P2 2 1 255 3 4",
    "zip": b"PK\3\4" + bytes(40),
    "svg": b"<svg/>",
    "pdf": b"%PDF-1.4",
    "film": b"\0\0\0\x20ftypisom" + bytes(20),
    "sound": b"RIFF\x24\0\0\0WAVEfmt ",
}


@pytest.mark.parametrize(("name", "data"), [*MADE.items(), *OTHERS.items()])
def test_the_format_is_detected(name, data):
    found = detect(data[:HEAD])
    assert found in SIGNATURES
    assert name.endswith("a JPEG") if name.startswith("MPO") else name.startswith(found)


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_what_is_no_image_is_none(data):
    assert detect(data[:HEAD]) == ""


def test_what_pillow_writes_as_avif_is_detected():
    if not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    assert detect(encoded(COLOUR, "AVIF")[:HEAD]) == "AVIF"


@pytest.mark.parametrize("form", READ)
def test_pillow_opens_every_format_that_is_read(form):
    data = encoded(COLOUR, form)
    assert detect(data[:HEAD]) == form == Image.open(io.BytesIO(data)).format

"""Save `ferpipe app` with drawn faces as a picture: `make app-screenshot`."""

import tempfile
import time
from pathlib import Path

import numpy as np
from app_server import Server
from browser import Browser
from PIL import Image

from ferpipe.sources.sample import people

SIZE, SIDE = (1000, 420), 260
# People whom the committed sample does not have, their classes, and where they are.
FACES = (((61, 4), (40, 90)), ((65, 6), (370, 50)), ((75, 5), (700, 110)))


def group():
    """Drawn people before a wall."""
    down = np.linspace(190, 120, SIZE[1])[:, None]
    picture = Image.fromarray(np.broadcast_to(down, SIZE[::-1]).astype(np.uint8))
    for (subject, label), place in FACES:
        face = Image.fromarray(people.draw_subject(1, subject)[label, -1])
        picture.paste(face.resize((SIDE, SIDE), Image.Resampling.BICUBIC), place)
    return picture


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        group().save(folder / "group.png")
        server = Server("models/model.keras", folder)
        browser = Browser(folder)
        browser.open(server.address, 1200, 860)
        browser.wait_until("document.querySelector('input[type=file]') !== null")
        browser.upload("input[type=file]", folder / "group.png")
        browser.wait_until("document.querySelector('.face') !== null")
        browser.wait_until("[...document.images].every(image => image.complete)")
        time.sleep(1)  # until the result has faded in
        Path("docs/app.png").write_bytes(browser.screenshot())
        browser.close()
        server.close()


if __name__ == "__main__":
    main()

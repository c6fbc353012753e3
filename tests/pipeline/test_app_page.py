"""`ferpipe app` in Chromium: a drawn face from a file and from a fake camera, nothing from afar."""

import json
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from app_server import Server
from browser import Browser
from networks import published
from PIL import Image

from ferpipe.sources.sample import people

pytestmark = pytest.mark.browser

CLASSES = ["anger", "happy", 'a <b>"class"</b>']
FRAMING = [(0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.36, 0.77), (0.64, 0.77)]
FACES = "document.querySelectorAll('.face').length"
# Warned of by gradio when a result is complete.
NOTE = "Method not implemented."


def portrait(size, side):
    """A picture with a drawn face that the detector finds."""
    face = Image.fromarray(people.draw_subject(1, 2)[4, -1]).resize((side, side))
    picture = Image.new("L", size, 128)
    picture.paste(face, ((size[0] - side) // 2, (size[1] - side) // 2))
    return picture


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    model = published(tmp_path_factory.mktemp("model"), CLASSES, FRAMING)
    server = Server(model, tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """A browser whose camera shows a drawn face."""
    folder = tmp_path_factory.mktemp("camera")
    width, height = 320, 240
    luma = np.asarray(portrait((width, height), 160)).tobytes()
    gray = bytes([128]) * (width * height // 2)
    video = folder / "face.y4m"
    header = f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode()
    video.write_bytes(header + (b"FRAME\n" + luma + gray) * 3)
    browser = Browser(
        folder,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    )
    yield browser
    browser.close()


@pytest.fixture
def page(camera, server):
    camera.open(server.address)
    camera.wait_until("document.querySelector('input[type=file]') !== null")
    return camera


def uploaded(page, path):
    page.upload("input[type=file]", path)
    page.wait_until("document.querySelector('.faces') !== null")


def check_quiet(page, server):
    """No error was logged, and nothing asked of another server."""
    assert [line for line in page.console if line != NOTE] == []
    asked = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert asked
    assert [url for url in asked if not url.startswith(server.address)] == []


def test_a_file_gives_boxes_bars_and_heat_maps(page, server, tmp_path):
    path = tmp_path / "portrait.png"
    portrait((400, 300), 200).save(path)
    uploaded(page, path)
    assert page.run(FACES) == 1
    assert page.run("document.querySelectorAll('.faces svg rect').length") == 1
    assert page.run("document.querySelector('.face').dataset.label") in CLASSES
    names = page.run("[...document.querySelectorAll('.face dt')].map(e => e.textContent)")
    assert sorted(names) == sorted(CLASSES)
    widths = "[...document.querySelectorAll('.bar span')].map(e => parseFloat(e.style.width))"
    assert sum(page.run(widths)) == pytest.approx(100, abs=0.2)
    assert page.run("[...document.querySelectorAll('.seen img')].every(e => e.naturalWidth)")
    text = page.run("document.body.innerText")
    assert "Pictures stay on this machine" in text
    assert "Do not read its output as what a person feels" in text
    check_quiet(page, server)


def test_the_camera_gives_a_face(page, server):
    button = "[...document.querySelectorAll('button')].find(e => {}).click()"
    page.run(button.format("e.ariaLabel === 'Capture from camera'"))
    page.wait_until("document.body.innerText.includes('Click to Access Webcam')")
    page.run(button.format("e.innerText.includes('Access Webcam')"))
    page.wait_until("document.querySelector('video')?.videoWidth > 0")
    page.run(button.format("e.ariaLabel === 'capture photo'"))
    page.wait_until("document.querySelector('.faces') !== null")
    assert page.run(FACES) == 1
    check_quiet(page, server)


def test_a_face_that_fills_the_picture(page, tmp_path):
    page.run("document.querySelector('input[type=checkbox]').click()")
    portrait((48, 48), 48).save(tmp_path / "face.png")
    uploaded(page, tmp_path / "face.png")
    assert page.run(FACES) == 1
    assert page.run("document.querySelector('.faces svg') === null")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("text.jpg", b"no picture", "the picture cannot be used: "),
        ("half.png", b"\x89PNG\r\n\x1a\n" + bytes(60), "the picture cannot be used: "),
        ("large.png", bytes(51 << 20), "exceed the maximum allowed size"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(page, tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    page.upload("input[type=file]", tmp_path / name)
    page.wait_until(f"document.body.innerText.includes({json.dumps(reason)})")
    assert str(tmp_path) not in page.run("document.body.innerText")
    assert page.run(FACES) == 0


def test_a_picture_without_a_face_is_told(page, tmp_path):
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "wall.png")
    uploaded(page, tmp_path / "wall.png")
    assert "No face found" in page.run("document.body.innerText")


def test_it_keeps_nothing_answers_no_other_name_and_stops(server, files_under):
    end = time.monotonic() + 30
    while files_under(server.folder):
        assert time.monotonic() < end, files_under(server.folder)
        time.sleep(0.2)
    request = urllib.request.Request(server.address, headers={"Host": "faces.invalid"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
    assert server.stop() == (0, "stopped\n", "")
    assert [line for line in server.asked() if "127.0.0.1" not in line] == []
    assert list(server.folder.iterdir()) == []

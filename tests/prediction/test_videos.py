import re
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from ferpipe.core.errors import PipelineError
from ferpipe.prediction import videos

av = pytest.importorskip("av")
RATE = Fraction(10)


def picture(number, size=(64, 48)):
    """A bright left part that grows by two columns a frame."""
    pixels = np.full((size[1], size[0], 3), 40, np.uint8)
    pixels[:, : 2 * number] = 200
    return Image.fromarray(pixels)


@pytest.fixture
def video(tmp_path):
    """Write a video of growing pictures; returns its path."""

    def write(name="v.mp4", count=20, size=(64, 48)):
        path = tmp_path / name
        with videos.written(path, RATE) as add:
            for number in range(count):
                add(picture(number, size))
        return path

    return write


def read(path):
    with videos.opened(path) as (rate, count, frames):
        return rate, count, list(frames())


def test_frames_come_in_order_with_their_times(video):
    rate, count, frames = read(video())
    assert (rate, count, len(frames)) == (RATE, 20, 20)
    assert [frame.number for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx(np.arange(20) / 10)
    for frame in frames:
        difference = np.abs(np.asarray(frame.picture, int) - np.asarray(picture(frame.number), int))
        assert difference.mean() < 4


def test_the_same_pictures_give_the_same_bytes(video):
    assert video("1.mp4").read_bytes() == video("2.mp4").read_bytes()


@pytest.mark.parametrize("size", [(65, 48), (64, 49), (31, 33)])
def test_an_odd_side_loses_a_pixel(video, size):
    (first, *_) = read(video(size=size, count=3))[2]
    assert first.picture.size == (size[0] // 2 * 2, size[1] // 2 * 2)


def remuxed(source, target, **changes):
    """Copy a video without decoding it."""
    with av.open(str(source)) as old, av.open(str(target), "w", **changes) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


@pytest.mark.parametrize("name", ["v.mkv", "v.mov", "v.ts"])
def test_other_containers_are_read(video, tmp_path, name):
    frames = read(remuxed(video(), tmp_path / name))[2]
    assert len(frames) == 20


@pytest.mark.parametrize(
    ("name", "options"), [("cut.mkv", {}), ("cut.mp4", {"movflags": "faststart"})]
)
def test_a_video_that_breaks_off_gives_its_frames_and_then_an_error(video, tmp_path, name, options):
    path = remuxed(video(count=100), tmp_path / name, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    numbers = []
    with videos.opened(path) as (_, _, frames), pytest.raises(PipelineError) as error:
        for frame in frames():
            numbers.append(frame.number)
    assert numbers == list(range(len(numbers))) and 10 < len(numbers) < 100
    assert re.fullmatch(
        rf"{re.escape(str(path))} breaks off after \d+ frames: .*", str(error.value)
    )


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_another_file_is_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=rf"^{re.escape(str(path))} cannot be read: ") as error:
        read(path)
    assert "\n" not in str(error.value)
    with pytest.raises(PipelineError, match=r"nosuch\.mp4 cannot be read: "):
        read(tmp_path / "nosuch.mp4")


def test_a_video_without_pictures_is_named(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(PipelineError, match=r"sound\.mkv has no video in it"):
        read(path)


def test_an_error_while_writing_leaves_no_file(tmp_path):
    def write():
        with videos.written(tmp_path / "v.mp4", RATE) as add:
            add(picture(1))
            raise PipelineError("stopped")

    with pytest.raises(PipelineError, match="stopped"):
        write()
    assert not list(tmp_path.iterdir())

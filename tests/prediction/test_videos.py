import os
import re
import struct
from fractions import Fraction
from pathlib import Path

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


def encoded(path, pictures, codec="ffv1", pixels="yuv420p", times=None, **options):
    """Write arrays of RGB as frames, at `times` in milliseconds."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, 10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, array in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        *(("yuv420p", (65, 49)), ("yuv444p", (1, 1)), ("gray", (33, 31))),
        *(("yuv420p10le", (64, 48)), ("bgra", (31, 64))),
    ],
)
def test_pixels_of_other_forms_and_odd_sizes_are_read(tmp_path, pixels, size):
    shown = [np.asarray(picture(number, size)) for number in range(3)]
    _, _, frames = read(encoded(tmp_path / "v.mkv", shown, pixels=pixels))
    for frame, array in zip(frames, shown, strict=True):
        assert frame.picture.mode == "RGB" and frame.picture.size == size
        assert np.abs(np.asarray(frame.picture, int) - array).mean() < 6


def test_times_are_those_of_the_frames_where_the_rate_varies(tmp_path):
    times = [0, 10, 500, 510, 3000]
    shown = [np.asarray(picture(number)) for number in range(5)]
    frames = read(encoded(tmp_path / "v.mkv", shown, times=times))[2]
    assert [frame.seconds for frame in frames] == pytest.approx([time / 1000 for time in times])


# Matrices of a track's header: across and down, as 16.16 fixed point.
TURNED = {"clockwise": (0, 1, -1, 0), "over": (-1, 0, 0, -1), "back": (0, -1, 1, 0)}


@pytest.mark.parametrize("turn", TURNED)
def test_a_video_that_a_phone_has_turned_is_upright(video, tmp_path, turn):
    a, b, c, d = (value << 16 for value in TURNED[turn])
    path = video(count=3)
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    data = path.read_bytes()
    start = data.index(upright, data.index(b"tkhd"))
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:start] + turned + data[start + len(turned) :])
    frames = read(path)[2]
    turns = {"clockwise": -1, "over": 2, "back": 1}[turn]
    for frame in frames:
        expected = np.rot90(np.asarray(picture(frame.number), int), turns)
        assert np.abs(np.asarray(frame.picture, int) - expected).mean() < 4


def test_a_size_that_changes_is_followed(tmp_path):
    parts = []
    for number, size in enumerate([(64, 48), (96, 80)]):
        shown = [np.asarray(picture(count, size)) for count in range(4)]
        part = tmp_path / f"{number}.ts"
        parts.append(encoded(part, shown, "libx264", format="mpegts").read_bytes())
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(parts))
    frames = read(path)[2]
    assert [frame.picture.size for frame in frames] == [(64, 48)] * 4 + [(96, 80)] * 4
    with videos.written(tmp_path / "copy.mp4", RATE) as add:
        for frame in frames:
            add(frame.picture)
    assert {frame.picture.size for frame in read(tmp_path / "copy.mp4")[2]} == {(64, 48)}


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


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "used: empty file"),
        *((text, "it is no video, or its end is missing") for text in (b"no video", b"\0" * 5000)),
        (b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1/1.ts\n", "it is no video"),
        (b"ffconcat version 1.0\nfile http://127.0.0.1/1.ts\n", "it is no video"),
    ],
)
def test_another_file_is_one_line_that_names_it(tmp_path, content, fault):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=rf"^{re.escape(str(path))} cannot be ") as error:
        read(path)
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_file_is_one_line(tmp_path):
    with pytest.raises(PipelineError, match=r"nosuch\.mp4 cannot be read: No such file"):
        read(tmp_path / "nosuch.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(PipelineError, match=r"pipe\.mp4 cannot be read: it is a pipe"):
        read(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["10:30.mp4", "concat:a|b.mp4", "-i.mp4", "50%d.mp4"])
def test_a_name_is_no_address(video, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    video(count=2).rename(name)
    assert len(read(Path(name))[2]) == 2


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

import dataclasses
import json

import numpy as np
import pytest
from record_files import faces, framed, write

from ferpipe.core.errors import PipelineError
from ferpipe.data.records import read_schema, read_split
from ferpipe.data.tfrecord import decode, encode, read_frames


def frames(path):
    with path.open("rb") as file:
        return [decode(frame, path) for frame in read_frames(file, path)]


@pytest.mark.parametrize("memory_mb", [1, 0])
@pytest.mark.parametrize(("side", "channels"), [(1, 1), (4, 1), (48, 3), (130, 1)])
def test_what_was_written_reads_back(tmp_path, side, channels, memory_mb):
    shards = [faces(5, side, channels, seed=1), faces(3, side, channels, seed=2)]
    schema = write(tmp_path, shards, side, channels)
    assert read_schema(tmp_path) == schema
    train = read_split(tmp_path, schema, "train", memory_mb)
    assert train.in_memory == (memory_mb == 1)
    assert np.array_equal(train.images[:], np.concatenate([shard[0] for shard in shards]))
    assert train.labels.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert list(train.paths) == shards[0][2] + shards[1][2]
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int32)


def test_a_split_without_images_is_empty(tmp_path):
    schema = write(tmp_path, [faces(2)])
    val = read_split(tmp_path, schema, "val")
    assert (val.images.shape, val.labels.shape, len(val.paths)) == ((0, 4, 4, 1), (0,), 0)


@pytest.mark.parametrize("label", [0, 1, 127, 128, 300, 2**31 - 1])
def test_a_label_of_any_size_reads_back(tmp_path, label):
    (tmp_path / "one.tfrecord").write_bytes(
        encode(np.zeros((2, 2, 1), np.uint8), label, "a/b").frame
    )
    assert frames(tmp_path / "one.tfrecord") == [(bytes(4), label, "a/b")]


def test_a_record_is_pinned():
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    assert encode(image, 1, "a/b.png").frame.hex() == (
        "3a000000000000001295eae2"  # length, its checksum
        "0a38"
        "0a110a05696d61676512080a060a0400010203"  # image
        "0a0e0a056c6162656c12051a030a0101"  # label
        "0a130a0470617468120b0a090a07612f622e706e67"  # path
        "1ef678a5"  # checksum
    )


def test_tensorflow_reads_our_shards_and_writes_the_same_bytes(tmp_path):
    from ferpipe.model.backend import tf  # which sets its threads before its first operation

    shards = [faces(4, 6, 3, seed=1), faces(3, 6, 3, seed=2)]
    schema = write(tmp_path, shards, 6, 3)
    ours = read_split(tmp_path, schema, "train")
    features = {
        name: tf.io.FixedLenFeature([], kind)
        for name, kind in (("image", tf.string), ("label", tf.int64), ("path", tf.string))
    }
    dataset = tf.data.TFRecordDataset([str(tmp_path / name) for name in schema.shards["train"]])
    for number, payload in enumerate(dataset):
        found = tf.io.parse_single_example(payload, features)
        pixels = tf.reshape(tf.io.decode_raw(found["image"], tf.uint8), (6, 6, 3))
        assert np.array_equal(pixels, ours.images[number])
        assert found["label"].numpy() == ours.labels[number]
        assert found["path"].numpy().decode() == ours.paths[number]
    assert number == 6

    for name, shard in zip(schema.shards["train"], shards, strict=True):
        with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
            for image, label, path in zip(*shard, strict=True):
                example = tf.train.Example()
                values = example.features.feature
                values["image"].bytes_list.value.append(image.tobytes())
                values["label"].int64_list.value.append(label)
                values["path"].bytes_list.value.append(path.encode())
                writer.write(example.SerializeToString(deterministic=True))
        assert (tmp_path / "theirs").read_bytes() == (tmp_path / name).read_bytes()


# Damage


@pytest.fixture
def shard(tmp_path):
    """A shard of two small records and a function that reads it."""
    schema = write(tmp_path, [faces(2, side=2)], side=2)
    path = tmp_path / schema.shards["train"][0]
    return path, lambda: read_split(tmp_path, schema, "train")


def test_any_flipped_bit_is_an_error(shard):
    path, read = shard
    intact = path.read_bytes()
    for position in range(len(intact)):
        data = bytearray(intact)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        with pytest.raises(PipelineError, match=r"is damaged at byte \d+; run `dvc repro --force`"):
            read()


def test_a_shard_truncated_anywhere_is_an_error(shard):
    path, read = shard
    intact = path.read_bytes()
    first = len(encode(*(part[0] for part in faces(2, side=2))).frame)
    for length in range(len(intact)):
        path.write_bytes(intact[:length])
        whole = length in (0, first)
        message = "has another SHA-256 than in schema.json" if whole else "damaged at byte"
        with pytest.raises(PipelineError, match=message):
            read()


def test_anything_after_the_last_record_is_an_error(shard):
    path, read = shard
    intact = path.read_bytes()
    path.write_bytes(intact + b"\0")
    with pytest.raises(PipelineError, match=f"is damaged at byte {len(intact)}"):
        read()


def test_a_missing_shard_is_an_error_with_the_remedy(shard):
    path, read = shard
    path.unlink()
    with pytest.raises(PipelineError, match=f"{path.name} is missing; run `dvc repro`"):
        read()


RECORD = encode(np.zeros((1, 1, 1), np.uint8), 0, "a/b").frame


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b"\x0a\x00",  # an example without features
        b"\x0a\x03abc",
        b"\x0a\xff",  # a length that never ends
        b"\x08\x01",  # a number instead of a message
        RECORD[12:-5],
        b"\x08" + RECORD[13:-4],  # of another kind
        RECORD[12:-4].replace(b"label", b"lable"),
    ],
)
def test_an_intact_frame_of_another_record_is_an_error(tmp_path, payload):
    (tmp_path / "other.tfrecord").write_bytes(framed(payload))
    with pytest.raises(PipelineError, match=r"other\.tfrecord holds a record of another format"):
        frames(tmp_path / "other.tfrecord")


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 3},
        {"channels": 3},
        {"classes": ["anger"]},
        *({"images": {"train": count}} for count in (1, 3, 10**12)),
    ],
)
def test_records_that_do_not_match_the_schema_are_an_error(tmp_path, change):
    schema = dataclasses.replace(write(tmp_path, [faces(2)]), **change)
    with pytest.raises(PipelineError, match=r"train images in .* do not match schema\.json; run"):
        read_split(tmp_path, schema, "train")


def changed(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing; run `dvc repro`, which makes it"),
        (lambda path: path.write_bytes(changed(path.read_bytes())), "has another SHA-256 than in"),
        (lambda path: path.write_bytes(b""), "has another SHA-256 than in"),
    ],
)
def test_an_index_that_is_missing_or_damaged_is_an_error(tmp_path, damage, message):
    schema = write(tmp_path, [faces(2)])
    damage(tmp_path / "train-index.npy")
    with pytest.raises(PipelineError, match=f"train-index.npy {message}"):
        read_split(tmp_path, schema, "train")


def test_shards_in_another_order_are_an_error(tmp_path):
    schema = write(tmp_path, [faces(2, seed=1), faces(2, seed=2)])
    first, second = (tmp_path / name for name in schema.shards["train"])
    first.rename(tmp_path / "kept")
    second.rename(first)
    (tmp_path / "kept").rename(second)
    with pytest.raises(PipelineError, match=rf"{first.name} has another SHA-256 than in schema"):
        read_split(tmp_path, schema, "train")


TRAVERSAL = "../train-00000-of-00001.tfrecord"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("channels", {"channels": ...}),
        ("colour", {"colour": "gray"}),
        ("image_size", {"image_size": "4"}),
        ("image_size", {"image_size": 0}),
        ("channels", {"channels": 2}),
        ("classes.0", {"classes": [1, 2]}),
        ("shards", {"images": {"train": 2}}),
        ("images.train", {"images": {"train": -1, "val": 0, "test": 0}}),
        ("images.new\\nline", {"images": {"new\nline": 0.5}}),
        ("sha256", {"sha256": {}}),
        ("shards", {"shards": None}),
        ("shards.train.0", {"shards": {"train": [TRAVERSAL], "val": [], "test": []}}),
    ],
)
def test_an_invalid_schema_is_an_error_that_names_the_key(tmp_path, key, change):
    values = dataclasses.asdict(write(tmp_path, [faces(2)])) | change
    values = {name: value for name, value in values.items() if value is not ...}
    (tmp_path / "schema.json").write_text(json.dumps(values))
    with pytest.raises(PipelineError) as error:
        read_schema(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'schema.json'}: '{key}'")
    assert str(error.value).endswith("; run `dvc repro --force`")
    assert "\n" not in str(error.value)

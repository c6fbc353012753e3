"""Names of official parts, in lower case."""

from __future__ import annotations

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    # FER2013's names; its papers select on the public test and report the private test.
    **{"publictest": "val", "privatetest": "test"},
}

"""Where eyes, nose and mouth lie in the drawn faces."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.lower_face import mouth_corner, nose_tip
from ferpipe.sources.sample.people import FRAMES, PROTOTYPES, scene
from ferpipe.sources.sample.raster import SIDES
from ferpipe.sources.sample.sketch import Sketch
from ferpipe.sources.sample.upper_face import pupil

# How the sample frames a face: the mean landmarks of 200 people, in units of the side, as
# `faces.framing` has them.
FRAMING = np.array(
    [[0.3146, 0.4183], [0.6839, 0.4192], [0.4983, 0.5989], [0.3484, 0.7710], [0.6483, 0.7720]]
)


def landmarks(seed: int, subject: int) -> np.ndarray:
    """The landmarks of a subject's frames.

    Returns:
        float64 (7, 3, 5, 2), classes and frames as from `people.draw_subject`; see `points`.
    """
    found = points(Sketch(*scene(seed, subject)))
    return found.reshape(len(PROTOTYPES), FRAMES, *found.shape[1:])


def points(face: Sketch) -> np.ndarray:
    """The landmarks of all frames, from the geometry that is drawn.

    Returns:
        float64 (frames, 5, 2): x and y in pixels of the left and right pupil, looking straight
        ahead, the tip of the nose, and the left and right corner of the mouth, left and right
        being the viewer's.
    """
    eyes = face.place([pupil(face, side) for side in SIDES], depth=100)
    nose = face.place([(0, nose_tip(face) - 60)], depth=190)
    corners = [(side, *mouth_corner(face, side)) for side in SIDES]
    mouth = face.place([(side * x, y) for side, x, y in corners], depth=100)
    return np.concatenate([eyes, nose, mouth], axis=1) / 256

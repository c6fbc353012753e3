"""The traits of a drawn person, and how each picture of a person is taken."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

SHORT_HAIR = ("short", "crew", "fringe", "swept", "parted", "curly", "receding", "bald")
LONG_HAIR = ("long", "long", "bob", "bob", "curly", "fringe", "swept")
# Trait -> lowest and highest value. Tones are 0..255, lengths hundredths of a pixel; `jaw_percent`
# is of the head, `*_darkness` and `wrinkles` (below 0 as 0) are percent. At rest `brow_tilt` lowers
# the inner ends of the brows, `mouth_curve` the corners of the mouth, `*_skew` the viewer's right.
TONES = {"skin": (95, 205), "hair": (12, 70), "backdrop": (30, 215), "clothes": (20, 220)}
HEAD = {"head_width": (1440, 1830), "jaw_percent": (60, 92), "chin": (1940, 2290)}
HEAD |= {"wrinkles": (-80, 100)}
HAIR = {"hair_volume": (60, 420), "hairline": (-1800, -1520), "parting": (-200, 200)}
EYES = {"eye_distance": (770, 940), "eye_height": (-400, -240), "eye_width": (370, 480)}
EYES |= {"eye_open": (190, 300), "eye_slant": (-80, 120), "iris": (20, 110)}
BROWS = {"brow_height": (480, 660), "brow_arch": (40, 190), "brow_tilt": (-60, 70)}
BROWS |= {"brow_thickness": (70, 165), "brow_darkness": (20, 60), "brow_skew": (-40, 40)}
NOSE = {"nose_length": (410, 660), "nose_width": (280, 440)}
MOUTH = {"mouth_height": (1140, 1300), "mouth_width": (580, 750), "mouth_curve": (-60, 45)}
MOUTH |= {"lip_thickness": (90, 240), "lip_darkness": (18, 50), "mouth_skew": (-40, 40)}
TRAITS = TONES | HEAD | HAIR | EYES | BROWS | NOSE | MOUTH
# Of `beard` and `moustache` (opacity in percent), `glasses`, `hat` and `scarf` (tone) 0 is none.
# `marks` are spots of the skin: x, y, radius, and opacity in percent.
WORN = ("beard", "moustache", "glasses", "hat", "scarf")
Person = namedtuple("Person", [*TRAITS, "hair_style", *WORN, "marks"])

# What a picture is taken with -> (lowest, highest) of a subject, reach of a sequence, reach of a
# frame. Shift, `yaw` and `pitch` (of the features over the head) are hundredths of a pixel, 430 for
# 15 degrees; `turn` is 1024 times the sine of the tilt, `scale` is in 1024ths; `light_x` and
# `light_y` point to the lamp. The others are percent, and below 0 as 0, except that `exposure` and
# `noise` are in tones and `gaze` in hundredths of a pixel.
SHOTS = {
    "shift_x": ((0, 0), 230, 20),
    "shift_y": ((0, 0), 210, 20),
    "turn": ((-30, 30), 170, 15),
    "scale": ((1030, 1160), 60, 8),
    "yaw": ((-50, 50), 180, 25),
    "pitch": ((-40, 40), 130, 25),
    "gaze": ((0, 0), 70, 10),
    "light_x": ((-20, 20), 90, 0),
    "light_y": ((-60, 0), 50, 0),
    "light": ((20, 55), 30, 0),
    "exposure": ((-12, 12), 20, 3),
    "contrast": ((90, 115), 10, 0),
    "defocus": ((-60, 50), 50, 10),
    "motion": ((-110, 10), 80, 20),
    "noise": ((2, 6), 3, 1),
    "glare": ((-60, 40), 60, 20),
}
# Each value is an int array of shape (frames,). `hand` is an index of worn.HANDS and `hand_side`
# one of raster.SIDES.
Shots = namedtuple("Shots", [*SHOTS, "hand", "hand_side"])


def draw_person(between: Callable[[str, int, int], int]) -> Person:
    """Draw the traits of a person; `between` draws a named integer, both bounds included."""

    def sometimes(name: str, one_in: int, low: int, high: int) -> int:
        return 0 if between(f"has {name}", 1, one_in) > 1 else between(name, low, high)

    traits = {name: between(name, *span) for name, span in TRAITS.items()}
    traits["hair"] = sometimes("fair hair", 4, 90, 165) or traits["hair"]
    traits["wrinkles"] = max(traits["wrinkles"], 0)
    short = between("short hair", 0, 1) == 1
    styles = SHORT_HAIR if short else LONG_HAIR
    marks = []
    for mark in range(between("marks", 0, 6)):
        x, y = between(f"mark {mark} x", -1200, 1200), between(f"mark {mark} y", -1400, 1700)
        radius = between(f"mark {mark} radius", 8, 20) ** 2
        marks.append((x, y, radius, 80 - radius // 7))
    return Person(
        **traits,
        hair_style=styles[between("hair_style", 0, len(styles) - 1)],
        beard=sometimes("beard", 4, 25, 60) if short else 0,
        moustache=sometimes("moustache", 5, 50, 90) if short else 0,
        glasses=sometimes("glasses", 3, 15, 90),
        hat=sometimes("hat", 7, 30, 200),
        scarf=sometimes("scarf", 7, 30, 200),
        marks=tuple(marks),
    )

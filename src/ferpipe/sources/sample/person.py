"""The traits of a drawn person, and how each picture of a person is taken."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

SHORT_HAIR = ("short", "crew", "fringe", "parted", "curly", "receding", "bald")
LONG_HAIR = ("long", "long", "bob", "bob", "curly")
# Trait -> lowest and highest value. Tones are 0..255, lengths hundredths of a pixel; `jaw_percent`
# is of the head, `*_darkness` and `age` are percent.
TONES = {"skin": (125, 200), "hair": (12, 70), "backdrop": (30, 215), "clothes": (20, 220)}
HEAD = {"head_width": (1480, 1820), "jaw_percent": (62, 88), "chin": (1980, 2280), "age": (0, 100)}
HAIR = {"hair_volume": (60, 420), "hairline": (-1800, -1520), "parting": (-200, 200)}
EYES = {"eye_distance": (770, 940), "eye_height": (-400, -240), "eye_width": (390, 470)}
EYES |= {"eye_open": (220, 290), "eye_slant": (-60, 110), "iris": (20, 110)}
BROWS = {"brow_height": (520, 650), "brow_arch": (60, 200)}
BROWS |= {"brow_thickness": (80, 145), "brow_darkness": (20, 60)}
NOSE = {"nose_length": (430, 640), "nose_width": (300, 420)}
MOUTH = {"mouth_height": (1150, 1290), "mouth_width": (620, 740)}
MOUTH |= {"lip_thickness": (110, 230), "lip_darkness": (22, 48)}
TRAITS = TONES | HEAD | HAIR | EYES | BROWS | NOSE | MOUTH
# Of `beard` (its opacity in percent) and `glasses` (their tone) 0 is none.
Person = namedtuple("Person", [*TRAITS, "hair_style", "beard", "glasses"])

# What a picture is taken with -> (lowest, highest) of a subject, reach of a sequence, reach of a
# frame. Shift and `yaw` (of the features over the head) are hundredths of a pixel, `turn` is 1024
# times the sine of the tilt, `scale` is in 1024ths; `light_x` and `light_y` point to the lamp,
# `light` is its strength and `contrast` that of the film, all in percent.
SHOTS = {
    "shift_x": ((0, 0), 220, 20),
    "shift_y": ((0, 0), 200, 20),
    "turn": ((0, 0), 100, 8),
    "scale": ((1120, 1120), 70, 5),
    "yaw": ((0, 0), 200, 15),
    "light_x": ((-100, 100), 30, 0),
    "light_y": ((-100, 20), 30, 0),
    "light": ((10, 75), 10, 0),
    "contrast": ((85, 110), 5, 0),
}
# Each value is an int array of shape (frames,).
Shots = namedtuple("Shots", SHOTS)


def draw_person(between: Callable[[str, int, int], int]) -> Person:
    """Draw the traits of a person; `between` draws a named integer, both bounds included."""

    def sometimes(name: str, one_in: int, low: int, high: int) -> int:
        return 0 if between(f"has {name}", 1, one_in) > 1 else between(name, low, high)

    traits = {name: between(name, *span) for name, span in TRAITS.items()}
    traits["hair"] = sometimes("fair hair", 4, 90, 165) or traits["hair"]
    short = between("short hair", 0, 1) == 1
    styles = SHORT_HAIR if short else LONG_HAIR
    return Person(
        **traits,
        hair_style=styles[between("hair_style", 0, len(styles) - 1)],
        beard=sometimes("beard", 4, 25, 50) if short else 0,
        glasses=sometimes("glasses", 7, 15, 80),
    )

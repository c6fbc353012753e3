"""What a folder's or label's name looks like: an expression, a person, a number."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping

from ferpipe.sources.intake.member import clean

# Names of each expression: adjective, noun and the codes of JAFFE and KDEF.
EXPRESSIONS = {
    "anger": "angry anger angered mad furious fury rage ang AN",
    "contempt": "contempt contemptuous scorn disdain CO",
    "disgust": "disgust disgusted disgusting dis DI",
    "fear": "fear fearful afraid scared frightened fea AF FE",
    "happiness": "happy happiness joy joyful smile smiling hap HA",
    "neutral": "neutral neutrality neu NE",
    "sadness": "sad sadness unhappy SA",
    "surprise": "surprise surprised surprising suprise astonished sur SU",
    "amusement": "amused amusement",
    "anxiety": "anxious anxiety",
    "awe": "awe awed",
    "boredom": "bored boredom boring",
    "calmness": "calm calmness",
    "confusion": "confused confusion",
    "embarrassment": "embarrassed embarrassment",
    "excitement": "excited excitement",
    "interest": "interest interested",
    "pain": "pain painful",
    "pride": "pride proud",
    "shame": "shame ashamed",
    "sleepiness": "sleepy sleepiness",
    "tiredness": "tired tiredness",
}
CONCEPTS = {word: concept for concept, words in EXPRESSIONS.items() for word in words.split()}
AFFIXES = re.compile(r"\b(faces?|images?|imgs?|photos?|expressions?|emotions?|class)\b")
PERSON = re.compile(
    r"([a-z]{1,3}|subject|subj|person|people|participant|actor|actress|user|model|man|woman|female"
    r"|male|child|face)[ _-]?\d+[a-z]?",
    re.IGNORECASE,
)
# Prefixes of class numbers, action units and versions, which look the same.
NO_PERSON = re.compile(r"(c|e|au|cl|cls|em|emo|exp|lab|v|ver|set|aug)[ _-]?\d+", re.IGNORECASE)
MANY_CLASSES, FEW_IMAGES = 25, 30


@functools.cache
def expression(name: str) -> str | None:
    """The expression that a name says, such as anger for `Angry`, `0_anger`, `angry faces`."""
    name = clean(name)
    if name in CONCEPTS:
        return CONCEPTS[name]
    words = AFFIXES.sub(" ", re.sub(r"[\d_.\s-]+", " ", name.casefold())).strip()
    return CONCEPTS.get(words)  # codes are in upper case: `Su` and `An` may be people


def like_person(name: str) -> bool:
    """Whether a name is like S005, AF01 or subject_12."""
    return bool(PERSON.fullmatch(name)) and not NO_PERSON.fullmatch(name)


def like_subject(name: str) -> bool:
    """Whether a folder of class folders is likely a person: like S005, or a number."""
    return like_person(name) or name.isdecimal()


def like_people(names: Collection[str]) -> bool:
    """Whether all of several names are like those of people, or numbers like 001 of sequences."""
    numbers = all(re.fullmatch(r"\d{3,}", name) for name in names)
    return len(names) > 1 and (numbers or all(map(like_person, names)))


def doubtful_classes(counts: Mapping[str, int]) -> bool:
    """Whether classes, given with their numbers of images, are likely people or sequences."""
    many = len(counts) > MANY_CLASSES and sum(counts.values()) < FEW_IMAGES * len(counts)
    return like_people(counts) or (many and not any(map(expression, counts)))

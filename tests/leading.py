"""Process 0 of the group that the environment describes; see sleeping_part.py."""

import os

from ferpipe.core.errors import exits_cleanly
from ferpipe.training.parallel.coordinator import lead
from ferpipe.training.parallel.facts import facts
from ferpipe.training.parallel.group import from_environment


@exits_cleanly("train")
def main():
    group = from_environment(os.environ)
    lead(group, facts(group.processes), "sleeping_part")


if __name__ == "__main__":
    main()

from contextlib import ExitStack

import pytest
from faces import LIMITS, layout, write_folder

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.files.listing import open_tree


@pytest.fixture
def found_by(here):
    """What a kind of layout finds in a tree, which can be read until the test ends."""

    def found(kind, tree, write=write_folder, limits=LIMITS, **keys):
        tree = {
            path: text if isinstance(text, bytes) else text.encode() for path, text in tree.items()
        }
        source = write(here / "source", tree)
        return kind.members(stack.enter_context(open_tree(source, limits)), layout(**keys), source)

    with ExitStack() as stack:
        yield found


@pytest.fixture
def fault_of(found_by):
    """The error of a kind of layout."""

    def fault(*args, **keys):
        with pytest.raises(PipelineError) as error:
            found_by(*args, **keys)
        assert "\n" not in str(error.value)
        return str(error.value)

    return fault

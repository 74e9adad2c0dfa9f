"""A text that is a path: the command line takes it as it stands, and ~ in it is the home folder."""

from typing import Annotated

FilePath = Annotated[str, "a path"]

"""All files under a folder, in the same order on every file system."""

import os
from dataclasses import dataclass
from pathlib import Path

from mmdiff.data.sources.list_fault import list_fault
from mmdiff.media.rejection import Reason, Rejection


@dataclass(frozen=True)
class FolderFiles:
    """names: paths relative to the root, sorted; rejections: folders that were not entered"""

    names: tuple[str, ...]
    rejections: tuple[Rejection, ...]


def walk_files(root: Path, *, allow_external: bool = False) -> FolderFiles:
    """Files under `root` (as `media_root` gives it) but hidden ones.

    A linked folder is entered once, if it lies under the root or `allow_external`; so loops of
    links end.
    """
    names: list[str] = []
    rejections: list[Rejection] = []
    entered = {str(root)}

    def enter(folder: Path) -> None:
        try:
            with os.scandir(folder) as found:
                items = sorted((item for item in found if item.name[0] != "."), key=_by_name)
        except OSError as error:
            name = folder.relative_to(root).as_posix()
            fault = f"is a folder that cannot be read ({error.strerror})"
            rejections.append(list_fault(name, Reason.UNREADABLE, fault))
            return
        for item in items:
            path = folder / item.name
            if not os.path.isdir(path):  # unlike item.is_dir(), takes a loop of links for a file
                names.append(path.relative_to(root).as_posix())
                continue
            real = os.path.realpath(path)
            if not allow_external and not Path(real).is_relative_to(root):
                fault = "links to a folder outside of the root"
                name = path.relative_to(root).as_posix()
                rejections.append(list_fault(name, Reason.EXTERNAL, fault))
            elif real not in entered:
                entered.add(real)
                folders.append(path)

    folders = [root]
    while folders:
        enter(folders.pop())
    return FolderFiles(tuple(sorted(names)), tuple(sorted(rejections, key=lambda r: r.file)))


def _by_name(item: os.DirEntry[str]) -> str:
    return item.name

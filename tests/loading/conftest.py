"""A saved pipeline, whole, for a module of tests; and a copy of it for each, to be damaged."""

import shutil
from pathlib import Path

import pytest

from tests.pipelines.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    tiny_pipeline().save_pretrained(path)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")

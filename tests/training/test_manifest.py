"""A manifest is whole, of this schema and of its folder, or it is damage that is named."""

from pathlib import Path

import pytest

from mmdiff.training.manifest import DamagedCheckpoint, Manifest, step_of

FACTS = '{"bytes": 1, "sha256": "00"}'


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    Manifest.of([tmp_path / "state.json"], step=3).write(tmp_path)
    found = Manifest.read(tmp_path)
    assert found.step == 3 and found.files["state.json"][0] == 2
    found.verify(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged: Expecting value"),
        ("[]", "it must hold schema, step and files"),
        ('{"schema": 1, "files": []}', "it must hold schema, step and files"),
        ('{"schema": 1, "step": 20, "files": {"state.json": null}}', "of each file bytes and sha"),
        ('{"schema": 2, "step": 20, "files": {}}', "schema 2; this version reads schema 1"),
        ('{"schema": 1, "step": null, "files": {}}', "it is of step None"),
        ('{"schema": 1, "step": 20, "files": {}}', "state.json is not among its files"),
        (f'{{"schema": 1, "step": 21, "files": {{"state.json": {FACTS}}}}}', "is of step 21"),
        (
            f'{{"schema": 1, "step": 20, "files": {{"state.json": {FACTS}, "../x": {FACTS}}}}}',
            r"'\.\./x' is not the name of a file",
        ),
        ("[" * 100_000, "is damaged"),
        ("9" * 10_000, "is damaged"),
        ("\xff", "is damaged"),
    ],
)
def test_c5_a_manifest_that_is_none_is_damage(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "step_00000020"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedCheckpoint, match=said):
        Manifest.read(folder)


def test_the_step_is_in_the_name_of_a_folder() -> None:
    assert step_of(Path("a/step_00000020")) == 20 and step_of(Path("step_123456789")) == 123456789
    assert step_of(Path("step_1_of_2")) is None and step_of(Path("best")) is None

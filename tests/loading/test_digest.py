"""Digests of files against hashlib."""

import hashlib
from pathlib import Path

from mmdiff.loading.digest import sha256_of, sha256_of_all


def test_digests_are_those_of_the_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"")
    two.write_bytes(bytes(range(256)) * 5000)
    parts = [hashlib.sha256(path.read_bytes()) for path in (one, two)]
    assert [sha256_of(one), sha256_of(two)] == [part.hexdigest() for part in parts]
    whole = hashlib.sha256(b"".join(part.digest() for part in parts)).hexdigest()
    assert sha256_of_all([one, two]) == whole != sha256_of_all([two, one])

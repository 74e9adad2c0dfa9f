import pytest
import torch

from mmdiff.diffusion.noise import NoiseKey, hash64, keyed_noise, keyed_uniform

KEY = NoiseKey(seed=3, step=7, sample_ids=(5, 9, "clip-2"))


def test_d2_d3_a_row_depends_on_its_own_id_only() -> None:
    batch = keyed_noise(KEY, "noise/video", (2, 3))
    for row, sample_id in enumerate(KEY.sample_ids):
        alone = keyed_noise(NoiseKey(3, 7, (sample_id,)), "noise/video", (2, 3))
        assert torch.equal(alone[0], batch[row])


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(0)
    first = keyed_noise(KEY, "noise", (4,))
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(keyed_noise(KEY, "noise", (4,)), first)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("key", "purpose"),
    [
        (NoiseKey(4, 7, (5,)), "noise"),
        (NoiseKey(3, 8, (5,)), "noise"),
        (NoiseKey(3, 7, (6,)), "noise"),
        (NoiseKey(3, 7, ("5",)), "noise"),
        (NoiseKey(3, 7, (5,)), "time"),
    ],
)
def test_every_part_of_the_address_counts(key: NoiseKey, purpose: str) -> None:
    reference = keyed_noise(NoiseKey(3, 7, (5,)), "noise", (8,))
    assert not torch.equal(keyed_noise(key, purpose, (8,)), reference)


def test_distributions() -> None:
    key = NoiseKey(0, 0, tuple(range(2000)))
    noise, uniform = keyed_noise(key, "a", (8,)), keyed_uniform(key, "b")
    assert noise.dtype == uniform.dtype == torch.float32
    assert noise.shape == (2000, 8)
    assert uniform.shape == (2000,)
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    assert float(uniform.mean()) == pytest.approx(0.5, abs=0.03)
    assert 0 <= float(uniform.min()) < float(uniform.max()) < 1


def test_hash_is_the_same_everywhere() -> None:
    assert hash64(0, "noise/video", 12, "clip") == 1258705634049299877

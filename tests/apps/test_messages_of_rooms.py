"""I7: messages of what a run meets: data, training, finished components; and how they are shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.bad_clips import too_many
from mmdiff.data.checksummed_json import write_checksummed
from mmdiff.data.latent_cache import SCHEMA, LatentCache, precision_of
from mmdiff.data.order import EndlessOrder
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.shards import shard_paths
from mmdiff.data.sources.weighted_sources import WeightedSources
from mmdiff.data.worker_status import ReadingFailed, WorkerStatus
from mmdiff.media.rejection import Reason
from mmdiff.training.callbacks.finite_guard import FiniteGuard, NonFinite
from mmdiff.training.callbacks.spike_warning import SpikeWarning
from mmdiff.training.schedules import OneCycle
from mmdiff.training.warm_start import saved_autoencoder, saved_video_autoencoder
from tests.training.tiny import TinyModule, train

SMALL = {"encoder_widths": (8, 8, 8), "decoder_widths": (8, 8, 8), "latent_channels": 2}


def _raise(error: Exception) -> None:
    raise error


def _failed_reading() -> None:
    with WorkerStatus().reading(7, 7, "clips/cat.mp4"):
        raise KeyError("pts")


def _diverged(folder: Path) -> None:
    module = TinyModule()
    with_nan = next(module.trained.parameters())
    with_nan.data.fill_(float("nan"))
    train(folder, 2, module=module, callbacks=[FiniteGuard()], resume=False)


def _cache(folder: Path, spec: dict[str, Any]) -> LatentCache:
    write_checksummed(folder / "spec.json", spec)
    return LatentCache(folder)


def _component(folder: Path, **config: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _saved(folder: Path) -> Path:
    VideoAutoencoder(**SMALL).save_pretrained(folder)
    return folder


def _without_weights(folder: Path) -> Path:
    for path in _saved(folder).glob("*.safetensors"):
        path.unlink()
    return folder


# a call that is given an empty folder, and the phrases of its message, in this order
CALLS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "too many bad clips": (
        lambda _: _raise(too_many([("a.mp4", Reason.DAMAGED)], 3, 0.01)),
        ["1 of 3 clips are bad", "max_bad_fraction=0.01", "`mmdiff data-check`", "a.mp4"],
    ),
    "no clips at all": (
        lambda _: _raise(too_many([], 0, 0.01)),
        ["lists no clips at all", "`mmdiff data-check` says why"],
    ),
    "a reader's fault": (
        lambda _: _failed_reading(),
        ["the main process failed at sample 7, clips/cat.mp4", "KeyError"],
    ),
    "a folder without clips": (lambda folder: ClipFolder(folder).listing(), ["{folder}"]),
    "a table that is not there": (
        lambda folder: ClipFolder(folder, metadata="a.csv").listing(),
        ["metadata is 'a.csv'", "not there under {folder}", "found"],
    ),
    "no shards": (lambda _: shard_paths([]), ["urls is empty", "clips-{000..009}.tar"]),
    "a shard that is a command": (
        lambda _: shard_paths("pipe:cat a.tar"),
        ["'pipe:cat a.tar' would run a command", "give a path or a URL"],
    ),
    "a shard that is not there": (
        lambda folder: shard_paths(f"{folder}/a.tar"),
        ["urls names", "a.tar", "there is no such file"],
    ),
    "a weight of nothing": (
        lambda folder: WeightedSources({"a": ClipFolder(folder)}, {"a": 0}),
        ["weights.a is 0", "must be a finite number above 0"],
    ),
    "a checkpoint of another batch size": (
        lambda _: EndlessOrder(100, 8, seed=0).batch_after(12),
        ["at sample 12", "inside a batch of 8", "resume with the batch_size it was trained with"],
    ),
    "latents of another version": (
        lambda folder: _cache(folder, {"schema": -1}).spec(),
        ["{folder} has schema -1", "this version reads", "`mmdiff encode overwrite=true`"],
    ),
    "latents half encoded": (
        lambda folder: _cache(folder, {"schema": SCHEMA}).entries(),
        ["{folder} is not filled yet", "run `mmdiff encode` to its end"],
    ),
    "latents of whole numbers": (
        lambda _: precision_of("int8"),
        ["precision is int8", "possible are float16, float32"],
    ),
    "weights that diverged": (
        _diverged,
        ["step 0: the loss", "not finite for samples", "smaller learning rate", "policy=skip"],
    ),
    "a guard with a wish": (
        lambda _: FiniteGuard("ignore"),  # type: ignore[arg-type]
        ["the policy is 'ignore'", "possible are 'raise' and 'skip'"],
    ),
    "spikes of nothing": (lambda _: SpikeWarning(factor=0), ["factor is 0", "must be"]),
    "a schedule of no steps": (
        lambda _: OneCycle(None, 0),  # type: ignore[arg-type]
        ["total_steps is 0", "a finite number above 0"],
    ),
    "a component that is not there": (
        lambda folder: saved_video_autoencoder(str(folder)),
        ["{folder} holds no component", "output_dir under components/"],
    ),
    "an autoencoder that is not there": (
        lambda folder: saved_autoencoder(str(folder)),
        ["{folder} holds no component", "under components/", "vae/, audio_vae/"],
    ),
    "a component of another kind": (
        lambda folder: saved_autoencoder(str(_component(folder, _class_name="Vocoder"))),
        ["{folder} holds a Vocoder", "not a VideoAutoencoder or an AudioAutoencoder"],
    ),
    "a component without weights": (
        lambda folder: saved_autoencoder(str(_without_weights(folder))),
        ["{folder}"],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_i7_messages_of_a_run_say_what_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    call, phrases = CALLS[name]
    with pytest.raises((ValueError, TypeError, OSError, NonFinite, ReadingFailed)) as caught:
        call(tmp_path)
    message = str(caught.value)
    place = 0
    for phrase in (one.replace("{folder}", str(tmp_path)) for one in phrases):
        assert phrase in message[place:], message
        place = message.index(phrase, place) + len(phrase)
    assert len(message) < 500

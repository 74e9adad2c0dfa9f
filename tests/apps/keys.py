"""The root keys of the verbs with their annotations, as their files hand them to the command
line."""

from mmdiff.apps import data_check, encode, evaluate, export, generate, train
from mmdiff.apps.schema import annotations

READERS = {
    "generate": generate.generate,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "data-check": data_check.data_check,
    "encode": encode.Folders,
    "train": train.TrainSettings,
}
KEYS = {verb: annotations(reader) for verb, reader in READERS.items()}

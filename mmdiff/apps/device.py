"""The device that a verb runs on, by the name that its key `device` gives."""

from mmdiff.values.usage_error import UsageError


def chosen_device(device: str) -> str:
    """`auto`: the GPU where there is one. UsageError for one that this machine does not have."""
    import torch

    has_gpu = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if has_gpu else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise _unknown(device) from error
    there = torch.accelerator.current_accelerator(check_available=True)
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device is {device}, and this machine has {torch.cuda.device_count()} GPUs",
            key="device",
            got=f"device={device}",
            nearest=f"device={'cuda' if has_gpu else 'cpu'}",
        )
    if wanted.type != "cpu" and (there is None or wanted.type != there.type):
        raise _unknown(device)
    return device


def _unknown(device: str) -> UsageError:
    return UsageError(
        f"device is {device}; possible is auto, cpu or cuda", key="device", got=f"device={device}"
    )

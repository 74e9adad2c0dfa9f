"""Which classes a model_index.json may name: no other module is imported for it.

Encoders, tokenizers and schedulers are those whose constructors are known to make nothing that
their files do not hold. What is missing here, a person builds and hands to `from_pretrained`.
"""

import importlib
import re
from pathlib import Path
from typing import Any, Literal

from diffusers import ModelMixin

from mmdiff.loading.json_file import HINT, CheckpointError

Role = Literal["model", "text encoder", "tokenizer", "scheduler"]

OURS = re.compile(r"mmdiff(\.(autoencoders|backbone|text)(\.[a-z_]+)+)?")
TEXT_ENCODERS = {
    *("T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel"),
    *("CLIPTextModel", "CLIPTextModelWithProjection"),
    *("GemmaModel", "Gemma2Model", "Gemma3TextModel"),
    *("Qwen2Model", "Qwen3Model", "LlamaModel", "MistralModel"),
    *("BertModel", "DistilBertModel", "RobertaModel", "XLMRobertaModel"),
}
TOKENIZERS = {  # without the ending Fast, by which older files name the same classes
    *("PreTrainedTokenizer", "TokenizersBackend", "T5Tokenizer", "CLIPTokenizer"),
    *("GemmaTokenizer", "Qwen2Tokenizer", "LlamaTokenizer", "GPT2Tokenizer"),
    *("BertTokenizer", "DistilBertTokenizer", "RobertaTokenizer", "XLMRobertaTokenizer"),
}
SCHEDULERS = {
    *("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler"),
    *("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"),
    *("UniPCMultistepScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"),
    *("DEISMultistepScheduler", "SASolverScheduler", "LMSDiscreteScheduler", "DDIMScheduler"),
    *("DDPMScheduler", "PNDMScheduler", "LCMScheduler", "TCDScheduler"),
}


def component_class(path: Path, name: str, entry: Any) -> tuple[Role, Any]:
    """What component `name` is, and its class, by its entry in the model_index.json `path`.

    Raises CheckpointError for one that may not be named.
    """
    is_pair = isinstance(entry, list) and [type(part) for part in entry] == [str, str]
    if not is_pair:
        raise CheckpointError(f"{path}: {name} is {entry!r}, not [library, class]. {HINT}")
    library, class_name = entry
    role = _role(library, class_name)
    if role is None:
        raise CheckpointError(
            f"{path}: {name} is {library}.{class_name}, which a checkpoint may not name: possible "
            "are models of mmdiff and diffusers, and the text encoders, tokenizers and schedulers "
            f"that mmdiff knows. Build it and pass it: from_pretrained(folder, {name}=...)."
        )
    try:
        found = getattr(importlib.import_module(library), class_name)
    except (ImportError, AttributeError):
        raise CheckpointError(
            f"{path}: {name} is a {library}.{class_name}, which is not installed here. Install the "
            "version of mmdiff that wrote the checkpoint."
        ) from None
    if role == "model" and not (isinstance(found, type) and issubclass(found, ModelMixin)):
        raise CheckpointError(f"{path}: {name} is {library}.{class_name}, no component. {HINT}")
    return role, found


def is_tokenizer(class_name: str) -> bool:
    return class_name.removesuffix("Fast") in TOKENIZERS


def _role(library: str, class_name: str) -> Role | None:
    if library == "transformers":
        if class_name in TEXT_ENCODERS:
            return "text encoder"
        return "tokenizer" if is_tokenizer(class_name) else None
    if library == "diffusers":
        return "scheduler" if class_name in SCHEDULERS else "model"
    return "model" if OURS.fullmatch(library) else None

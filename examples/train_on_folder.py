"""Fine-tune the bundled video autoencoder on a folder of clips, with your own Lightning trainer.

    python examples/train_on_folder.py CLIPS PIPELINE [STEPS]

CLIPS holds a metadata.csv (`file_name`, `text`), or a .txt beside each clip. PIPELINE is where the
bundled model with the new autoencoder is saved. The experiment finetune/video_autoencoder of
`mmdiff train` does the same with checkpoints, exact resume and logs.
"""

import sys
from functools import partial

from lightning.pytorch import Trainer
from torch.optim import AdamW
from torch.optim.lr_scheduler import ConstantLR

from mmdiff import MMDiffPipeline
from mmdiff.autoencoders.objective import ReconstructionObjective
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.file_data import FolderData
from mmdiff.training.autoencoder_module import AutoencoderModule
from mmdiff.training.inputs import FramesInput

clips, pipeline, *steps = sys.argv[1:]
pipe = MMDiffPipeline.from_pretrained()
module = AutoencoderModule(
    pipe.vae.train(),
    ReconstructionObjective(),
    inputs=FramesInput(),
    name="vae",
    optimizer=partial(AdamW, lr=1e-4),
    lr_scheduler=partial(ConstantLR, factor=1.0),
    seed=0,
    ema_decay=0.98,
)
spec = ClipSpec(video="required", audio="ignored")
data = FolderData(root=clips, spec=spec, seed=0, batch_size=4)
trainer = Trainer(
    max_steps=int(steps[0]) if steps else 500, logger=False, enable_checkpointing=False
)
trainer.fit(module, data)

components = module.components(data.train_dataloader())  # averaged, latents scaled anew
pipe.register_modules(vae=components["vae"].eval())
pipe.save_pretrained(pipeline)

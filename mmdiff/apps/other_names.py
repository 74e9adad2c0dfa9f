"""What other tools call our keys: the first of a row that a verb has is what was meant."""

_ROWS = """
num_inference_steps max_steps: steps num_steps sampling_steps ddim_steps n_steps inference_steps
max_steps: max_train_steps train_steps iterations iters max_iters
+trainer.max_epochs: epochs num_epochs max_epochs num_train_epochs
guidance_scale: cfg cfg_scale guidance scale text_guidance
num_frames data.spec.num_frames: frames n_frames length video_length nframes clip_length
height data.spec.height: h
width data.spec.width: w
frame_rate data.spec.frame_rate: fps framerate frame_rate
data.spec.sample_rate: sr sampling_rate audio_rate
data.spec.height: resolution size image_size img_size
num_clips: n num num_samples n_samples num_images num_images_per_prompt num_videos_per_prompt count
checkpoint backbone.folder: model model_id model_path model_name pretrained weights ckpt
resume: resume_from resume_from_checkpoint load_from
output: out output_file output_path filename save_path o
output_dir: outdir out_dir save_dir output_folder logdir log_dir run_dir results
negative_prompt: neg negative neg_prompt n_prompt
prompt: text caption p
prompts: prompt_file prompts_file from_file batch
scheduler: sampler sampler_name solver
image: img init_image first_frame input_image i2v
video: input_video vid
audio: sound input_audio wav
seed: random_seed manual_seed rng
batch_size data.batch_size: bs batch train_batch_size per_device_train_batch_size
num_workers data.num_workers: workers dataloader_num_workers
optimizer.optimizer.lr: lr learning_rate base_lr
optimizer.optimizer.weight_decay: wd weight_decay
trainer.devices: gpus num_gpus devices nproc
trainer.precision dtype: precision mixed_precision fp16 bf16 amp
trainer.accelerator: accelerator
trainer.accumulate_grad_batches: gradient_accumulation_steps grad_accum accumulate
trainer.gradient_clip_val: max_grad_norm grad_clip clip_grad
callbacks.checkpoints.every_n_minutes: save_every save_interval checkpointing_steps
module.ema_decay: ema ema_rate
data.root: dataset data_dir data_path dataset_path train_data_dir instance_data_dir root folder
device: cuda gpu
data.spec.span: data.spec.stretch
data.spec.video: data.spec.picture
data.spec.audio: data.spec.sound
"""


def meanings(name: str) -> list[str]:
    """Our keys for a name of another tool, the likeliest first."""
    rows = (line.split(": ") for line in _ROWS.strip().splitlines())
    return [key for keys, names in rows if name in names.split() for key in keys.split()]

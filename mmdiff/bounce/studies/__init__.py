"""What `mmdiff evaluate experiment=...` measures: one file a study, chosen and set by YAML."""

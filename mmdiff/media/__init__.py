"""Files to clips and clips to files: reading, writing, stills, storyboards, resampling."""

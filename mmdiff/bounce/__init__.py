"""bounce: a small world of captioned clips with sound, drawn by formula, and its judge."""

"""The names of files that clips are written to; known without any library of media."""

MOVIE_SUFFIXES = (".mp4", ".mov", ".webm")
STILL_SUFFIXES = (".png", ".jpg")
PICTURE_SUFFIXES = (*MOVIE_SUFFIXES, ".gif", *STILL_SUFFIXES)
OUTPUT_SUFFIXES = (*PICTURE_SUFFIXES, ".wav")

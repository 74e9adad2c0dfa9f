"""Measures: are clips what was asked for, in sync, and as sharp as their originals?"""

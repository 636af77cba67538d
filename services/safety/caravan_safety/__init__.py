"""Shields: texts in, verdicts out."""

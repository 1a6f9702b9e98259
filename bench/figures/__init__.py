"""Figures that teach: each computes what it shows, beside its closed form, and draws it."""

from bench.figures import (
    alpha_family,
    kl_direction,
    likelihood,
    optimal_critic,
    panda,
    phase_portraits,
)
from bench.figures.contracts import FIGURES, Lesson, Shown

__all__ = [
    "FIGURES",
    "Lesson",
    "Shown",
    "alpha_family",
    "kl_direction",
    "likelihood",
    "optimal_critic",
    "panda",
    "phase_portraits",
]

"""Checks: of gradients, between engines, and against published results."""

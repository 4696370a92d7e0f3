"""Scripted conversations, and what the turn machine took and ordered in each: proof that its judgement stays."""

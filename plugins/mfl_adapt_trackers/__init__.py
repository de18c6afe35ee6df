"""Trackers: what a run folder holds, shown by TensorBoard, wandb or trackio as well.

Three plugins, a module each. ``metrics.jsonl`` stays the record of a run; a tracker gets a copy.
"""

"""The examples of the custom source guide, one file each; `utils.py` has the data they read."""

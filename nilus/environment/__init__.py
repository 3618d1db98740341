"""The packages that a source needs beside the worker's: `prepare` is the way in."""

from nilus.environment.isolation import Isolation
from nilus.environment.model import Environment, EnvironmentSettings
from nilus.environment.prepare import prepare
from nilus.environment.uv.settings import Index

__all__ = ["Environment", "EnvironmentSettings", "Index", "Isolation", "prepare"]

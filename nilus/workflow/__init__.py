"""The YAML document of a workflow and its models: `Workflow` is the way in."""

from nilus.workflow.models import Repo, Sink, Source, Workflow

__all__ = ["Repo", "Sink", "Source", "Workflow"]

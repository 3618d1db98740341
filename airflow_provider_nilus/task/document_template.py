"""The operator's document fields as templates: rendered so that what a template gives stays a single value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

FIELDS = ("workflow", "repo", "source", "sink")
"""The fields that hold a document, or a part of one."""

_FILES = (".yaml", ".yml")


class DocumentTemplate:
    """Renders one field.

    Args:
        env: the environment that Airflow renders with.
        context: of the task instance.
        render: renders a value as Airflow does.
    """

    def __init__(self, env: jinja2.Environment, context: Context, render: Callable[[Any], Any]) -> None:
        from airflow_provider_nilus.task.template_compiler import finalize_output
        from nilus.workflow.template_values import TemplateValues

        self._values = TemplateValues()
        self._env = finalize_output(env, self._values.token)
        self._context = context
        self._render = render

    def document(self, value: Any, seen: set[int]) -> Any:
        """Return the field's document: a mapping, or whatever an XCom or the like gives for it.

        Args:
            value: what the DAG's author gave: a document's text, the name of its file, or a mapping.
            seen: `id`s of values that came out of data and are not templates.

        Raises:
            WorkflowError: the text is not a document once it is rendered.
            jinja2.TemplateError: it cannot be rendered.
        """
        from nilus.workflow.document import load_document
        from nilus.workflow.template_values import mark_templated

        if id(value) in seen:
            return mark_templated(value)
        if isinstance(value, str):
            is_file = value.strip().endswith(_FILES) and "\n" not in value.strip()
            template = self._env.get_template(value.strip()) if is_file else self._env.from_string(value)
            return load_document(self._text(template), self._values)
        return self._block(value, seen) if isinstance(value, Mapping) else mark_templated(self._render(value))

    def _block(self, value: Any, seen: set[int]) -> Any:
        from nilus.workflow.template_values import mark_templated

        if id(value) in seen:
            return mark_templated(value)
        if isinstance(value, str):
            return self._scalar(value)
        if isinstance(value, Mapping):
            return {key: self._block(item, seen) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._block(item, seen) for item in value]
        return mark_templated(self._render(value))

    def _scalar(self, text: str) -> Any:
        from jinja2.nativetypes import NativeEnvironment

        from nilus.workflow.template_values import mark_templated

        if isinstance(self._env, NativeEnvironment):
            native = self._render(text)
            if not isinstance(native, str):
                return mark_templated(native)
        return self._values.restore(self._text(self._env.from_string(text)))

    def _text(self, template: jinja2.Template) -> str:
        from airflow.sdk.definitions.context import render_template_to_string

        return str(render_template_to_string(template, self._context))

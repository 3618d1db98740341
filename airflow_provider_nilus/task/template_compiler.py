"""Jinja's compiler for documents: values leave a template through a function, and are plain within it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame


def finalize_output(environment: Environment, finalize: Callable[[Any], str]) -> Environment:
    """Return an environment like `environment` whose templates give each value to `finalize` where it is written.

    Jinja's own option also finalizes what is not written yet: the text of a macro, of `{% set %}…{% endset %}` and of
    `{% filter %}`. A template that compares such a text would compare what stands for the value.

    Args:
        environment: Airflow's.
        finalize: returns the text that is written for a value.
    """
    compiled = environment.overlay(finalize=finalize)
    # Only an instance of it: the class is Airflow's.
    compiled.code_generator_class = type("DocumentCompiler", (_WrittenOnly, environment.code_generator_class), {})
    return compiled


class _WrittenOnly(CodeGenerator):
    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        plain = self._FinalizeInfo(self._default_finalize, None) if frame.buffer is not None else None
        self._finalize, finalize = plain, self._finalize
        super().visit_Output(node, frame)
        self._finalize = finalize

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        # The text of `{% filter %}` and of `{% call %}`.
        super().start_write(frame, node)
        if frame.buffer is None:
            self.write("environment.finalize(")

    def end_write(self, frame: Frame) -> None:
        if frame.buffer is None:
            self.write(")")
        super().end_write(frame)

    def simple_write(self, s: str, frame: Frame, node: nodes.Node | None = None) -> None:
        # What another template has written.
        super().start_write(frame, node)
        self.write(s)
        super().end_write(frame)

    def visit_Include(self, node: nodes.Include, frame: Frame) -> None:
        if frame.buffer is not None:
            self._refuse("{% include %} in a macro, {% set %}, {% call %} or {% filter %}", node)
        super().visit_Include(node, frame)

    def visit_Block(self, node: nodes.Block, frame: Frame) -> None:
        if frame.buffer is not None:
            self._refuse("{% block %} in a macro, {% set %}, {% call %} or {% filter %}", node)
        super().visit_Block(node, frame)

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        if node.name in {"self", "super"} and node.ctx == "load":
            self._refuse(f"{node.name}.…()" if node.name == "self" else "super()", node)
        super().visit_Name(node, frame)

    def _refuse(self, what: str, node: nodes.Node) -> None:
        self.fail(f"{what} is not supported in a document: write the text where it is used", node.lineno)

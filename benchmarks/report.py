"""Figures as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Series


def show(console: Console, figure: Figure) -> None:
    """A table: the ratio first, since two runs on a shared machine agree in little else."""
    table = Table(title=f"{figure.title} [{figure.unit}, {figure.better} is better]", title_justify="left")
    for name in ("times better", "what", "median", "lowest-highest", "runs", "failed", "note"):
        table.add_column(name, justify="left" if name in ("what", "note") else "right", overflow="fold")
    for series in figure.series:
        ratio = figure.ratio(series)
        spread = series.spread
        table.add_row(
            "" if ratio is None else f"{ratio:.1f}x",
            series.name,
            _number(series.median),
            f"{_number(spread[0])}-{_number(spread[1])}" if spread else "",
            str(len(series.values)),
            str(series.failures),
            series.note,
        )
    console.print(table)
    for note in figure.notes:
        console.print(f"  {note}", highlight=False)
    console.print()


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Everything measured, with the medians and ratios worked out."""
    return [asdict(figure) | {"series": [_series(figure, series) for series in figure.series]} for figure in figures]


def _series(figure: Figure, series: Series) -> dict[str, object]:
    return asdict(series) | {"median": series.median, "times_better": figure.ratio(series)}


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

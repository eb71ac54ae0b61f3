"""From samples to numbers: medians of rounds, and ratios made within a round."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median, and the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[float]) -> Spread:
        """Return the spread of *samples*."""
        return cls(median=median(samples), low=min(samples), high=max(samples))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant's samples, one per round, and its ratio to the floor's of the same round.

    Where nothing is the floor, there are no ratios.
    """

    variant: str
    samples: list[float]
    ratios: list[float]

    @property
    def value(self) -> Spread:
        """The measured quantity."""
        return Spread.of(self.samples)

    @property
    def ratio(self) -> Spread | None:
        """How many times the floor; None without one."""
        return Spread.of(self.ratios) if self.ratios else None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One work on one server.

    Attributes:
        unit: What the samples are.
        facts: What else has to be known to read the numbers.
    """

    work: str
    server: str
    unit: str
    rows: list[Row]
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "work": self.work,
            "server": self.server,
            "unit": self.unit,
            **self.facts,
            "rows": [
                {
                    "variant": row.variant,
                    "median": row.value.median,
                    "samples": row.samples,
                    "ratio": asdict(row.ratio) if row.ratio else None,
                }
                for row in self.rows
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a quantity changes with the size of something: one value per variant and size."""

    work: str
    server: str
    unit: str
    columns: list[str]
    values: dict[str, list[float]]

    def as_json(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one server stood up to; the servers of one work share a table.

    Attributes:
        about: What was done to it, in a sentence.
        cells: What is found in each column.
        samples: What the cells are made of.
    """

    work: str
    server: str
    about: str
    cells: dict[str, str]
    samples: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return asdict(self)


def compare(samples: dict[str, list[float]], floor: str) -> list[Row]:
    """Return one row per variant, with ratios to the variant called *floor*.

    A ratio is made of two samples of the same round, so that what disturbs a round disturbs both.
    """
    return [
        Row(
            variant=name,
            samples=values,
            ratios=[value / base for value, base in zip(values, samples[floor], strict=True)],
        )
        for name, values in samples.items()
    ]


def list_rows(samples: dict[str, list[float]]) -> list[Row]:
    """Return one row per variant where there is no floor to compare with."""
    return [Row(variant=name, samples=values, ratios=[]) for name, values in samples.items()]

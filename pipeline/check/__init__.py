"""Pre-flight: everything about a letter that can be decided before it is sent."""

from __future__ import annotations

from pipeline.check.findings import Finding, Severity, all_checks, inspect
from pipeline.check.sample import Sample, sample_of

__all__ = ["Finding", "Sample", "Severity", "all_checks", "inspect", "sample_of"]

"""The refusals of EC2. Codes are what clients match on.

Source: EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.base.errors import Refused


class InvalidParameterValue(Refused):
    code = "InvalidParameterValue"


class InvalidParameterCombination(Refused):
    code = "InvalidParameterCombination"


class FilterLimitExceeded(Refused):
    code = "FilterLimitExceeded"


class DryRunOperation(Refused):
    code = "DryRunOperation"
    status = 412
    message = "Request would have succeeded, but DryRun flag is set."


def not_found(code: str, noun: str, missing: Sequence[str]) -> Refused:
    """The refusal for identifiers that name nothing: "The vpc ID 'vpc-1' does not exist"."""
    if len(missing) == 1:
        return Refused(f"The {noun} '{missing[0]}' does not exist", code=code)
    return Refused(f"The {noun}s '{', '.join(missing)}' do not exist", code=code)

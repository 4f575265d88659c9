"""Who is calling."""

from moorage.api.sts.caller_identity import GetCallerIdentityRequest, get_caller_identity
from tests.unit.support import ACCOUNT, make_call


def test_the_caller_is_told_its_account_arn_and_id() -> None:
    answer = get_caller_identity(make_call(), GetCallerIdentityRequest())
    assert answer.account == ACCOUNT
    assert answer.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert answer.user_id == ACCOUNT

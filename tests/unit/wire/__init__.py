"""Tests of moorage.wire, by behaviour; botocore is the other side wherever it can be."""

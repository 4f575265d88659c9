"""Tests of moorage.gateway, by behaviour."""

"""Moorage: Amazon's container APIs on your own machines, with real containers behind them."""

__version__ = "0.1.0"

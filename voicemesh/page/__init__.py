"""The page: one room per thing that a visitor can do."""

from .layout import build_page
from .warming import warm_up

__all__ = ["build_page", "warm_up"]

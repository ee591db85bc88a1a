"""The page: one room per thing that a visitor can do."""

from .layout import build_page

__all__ = ["build_page"]

"""Bundles, and networks as their authors publish them: `load(name, file)` reads one."""

from .upstream import load as load

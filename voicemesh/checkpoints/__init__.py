from .upstream import load as load

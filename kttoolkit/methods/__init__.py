"""The working methods of practitioners: procedures over `tune` and single models."""

__all__: list[str] = []

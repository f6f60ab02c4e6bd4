"""A nonce as sites have it."""

from __future__ import annotations

from django.utils.functional import SimpleLazyObject, empty


class LazyNonce(SimpleLazyObject):
    """As Django 6 and django-csp have it: false until somebody has read it."""

    def __init__(self):
        super().__init__(lambda: "n0nce")

    def __bool__(self):
        return self._wrapped is not empty

"""The folders and documents of `django-spicedb`'s documentation; Django looks for models in a module of this name."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django_spicedb.integrations.orm import RebacManager
from django_spicedb.models import RebacModel

__all__ = ["Document", "Folder"]

PERMISSIONS = {"view": "owner + parent->view", "edit": "owner + parent->edit"}


class Folder(RebacModel):  # type: ignore[misc]  # Django carries no types
    """A folder, in another one perhaps."""

    name = models.CharField(max_length=255)
    owner = models.ForeignKey("auth.User", on_delete=models.CASCADE)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE)

    objects = RebacManager()

    class RebacMeta:
        """What SpiceDB is told of it."""

        type_name = "folder"
        relations: ClassVar = {"owner": "owner", "parent": "parent"}
        permissions = PERMISSIONS


class Document(RebacModel):  # type: ignore[misc]  # Django carries no types
    """A document, in a folder perhaps."""

    title = models.CharField(max_length=255)
    owner = models.ForeignKey("auth.User", on_delete=models.CASCADE)
    folder = models.ForeignKey("Folder", on_delete=models.CASCADE, null=True)

    objects = RebacManager()

    class RebacMeta:
        """What SpiceDB is told of it."""

        type_name = "document"
        relations: ClassVar = {"owner": "owner", "parent": "folder"}
        permissions = PERMISSIONS

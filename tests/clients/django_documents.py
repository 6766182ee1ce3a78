"""A Django project on `django-spicedb`: its documentation's folders and documents, over the address and key given.

Prints what it found as one line of JSON. A program of its own, since Django is set up once a process.
"""

from __future__ import annotations

import io
import json
import sys

import django
from django.conf import settings

ENDPOINT, KEY = sys.argv[1:]

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_spicedb", "tests.clients"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    REBAC={
        "adapter": {"endpoint": ENDPOINT, "token": KEY, "insecure": True},
        "external_types": {"user": "django.contrib.auth.models.User"},
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402  (Django wants its settings first)
from django.core.management import call_command  # noqa: E402
from django_spicedb.adapters import factory  # noqa: E402
from django_spicedb.runtime import can  # noqa: E402

from tests.clients.models import Document, Folder  # noqa: E402


def main() -> dict[str, object]:
    """Publish, write, ask, move and delete."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    anna, bert = (User.objects.create(username=name) for name in ("anna", "bert"))
    call_command("publish_rebac_schema", stdout=io.StringIO())
    shared = Folder.objects.create(name="shared", owner=anna)
    drawer = Folder.objects.create(name="drawer", owner=bert, parent=shared)
    plan = Document.objects.create(title="plan", owner=bert, folder=drawer)
    note = Document.objects.create(title="note", owner=bert, folder=None)
    found: dict[str, object] = {
        "own": can(bert, "edit", plan),
        "inherited": can(anna, "view", plan),
        "strangers": can(anna, "view", note),
        "accessible": sorted(each.title for each in Document.objects.accessible_by(anna, "view")),
        "subjects": sorted(factory.get_adapter().lookup_subjects(f"document:{plan.pk}", "view", "user")),
    }
    found["people"] = sorted(str(each.pk) for each in (anna, bert))
    plan.folder = None
    plan.save()
    found["moved away"] = can(anna, "view", plan)
    call_command("rebac_backfill", stdout=io.StringIO())
    note.delete()
    found["left"] = sorted(each.title for each in Document.objects.accessible_by(bert, "view"))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")

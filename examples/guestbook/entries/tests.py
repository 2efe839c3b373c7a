"""Tests: python manage.py test"""

import tempfile

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings

from .models import Entry


class GuestbookTests(TestCase):
    def test_page_names_the_workspace(self):
        with override_settings(CID_WORKSPACE="anna---example-com"):
            self.assertContains(self.client.get("/"), "anna---example-com")

    def test_entry_is_kept_and_shown(self):
        answer = self.client.post("/", {"author": "Anna", "message": "Hello"}, follow=True)
        self.assertContains(answer, "Hello")
        self.assertEqual(Entry.objects.get().author, "Anna")

    def test_attachment_goes_to_the_media_folder(self):
        with tempfile.TemporaryDirectory() as media, self.settings(MEDIA_ROOT=media):
            note = SimpleUploadedFile("note.txt", b"kept")
            self.client.post("/", {"author": "A", "message": "m", "attachment": note})
            with Entry.objects.get().attachment.open() as kept:
                self.assertEqual(kept.read(), b"kept")

    def test_empty_entry_is_refused(self):
        self.assertEqual(self.client.post("/", {"author": "", "message": ""}).status_code, 400)

    def test_health(self):
        self.assertEqual(self.client.get("/health/").content, b"ok\n")

"""What people leave in the guest book."""

from django.db import models


class Entry(models.Model):
    """One person's words, and a file if they brought one."""

    author = models.CharField(max_length=80)
    message = models.TextField(max_length=2000)
    attachment = models.FileField(upload_to="attachments/%Y/%m/", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "entries"

    def __str__(self):
        return f"{self.author}: {self.message[:40]}"

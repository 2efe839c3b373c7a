from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("author", models.CharField(max_length=80)),
                ("message", models.TextField(max_length=2000)),
                ("attachment", models.FileField(blank=True, upload_to="attachments/%Y/%m/")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "entries",
                "ordering": ["-created_at", "-id"],
            },
        ),
    ]

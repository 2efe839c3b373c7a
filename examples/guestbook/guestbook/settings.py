"""Settings, all of them from the environment: the same code runs in every workspace."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

# Good enough for trying things out; a site that people log in to gets its own.
SECRET_KEY = os.environ.get("SECRET_KEY", "not-a-secret")
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"

# nginx sends only requests for this workspace's own host name here.
ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = []
if "CID_URL" in os.environ:
    _url = urlsplit(os.environ["CID_URL"])
    CSRF_TRUSTED_ORIGINS.append(f"{_url.scheme}://{_url.netloc}")

INSTALLED_APPS = ["entries"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "guestbook.urls"
WSGI_APPLICATION = "guestbook.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

# DATABASE_URL, or a SQLite file in this folder.
DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MEDIA_ROOT = os.environ.get("MEDIA_ROOT", str(BASE_DIR / "media"))
MEDIA_URL = os.environ.get("MEDIA_URL", "/media/")

TIME_ZONE = "UTC"
USE_TZ = True

CID_WORKSPACE = os.environ.get("CID_WORKSPACE", "no workspace")

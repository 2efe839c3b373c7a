"""Addresses of the site."""

from django.urls import path

from entries import views

urlpatterns = [
    path("", views.index, name="index"),
    path("health/", views.health, name="health"),
]

"""The form on the page."""

from django import forms

from .models import Entry


class EntryForm(forms.ModelForm):
    """A new entry."""

    class Meta:
        model = Entry
        fields = ["author", "message", "attachment"]
        widgets = {"message": forms.Textarea(attrs={"rows": 3})}

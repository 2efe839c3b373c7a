"""The pages."""

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from .forms import EntryForm
from .models import Entry


@require_http_methods(["GET", "HEAD", "POST"])
def index(request):
    """The book, and the form to write in it."""
    form = EntryForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("index")
    return render(
        request,
        "entries/index.html",
        {
            "entries": Entry.objects.all()[:100],
            "form": form,
            "workspace": settings.CID_WORKSPACE,
        },
        status=400 if form.errors else 200,
    )


@require_safe
def health(request):
    """Answers when the site and its database do."""
    Entry.objects.exists()
    return HttpResponse("ok\n", content_type="text/plain")

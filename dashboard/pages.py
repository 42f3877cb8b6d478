"""The pages. Each is a frame that its script fills from the API, so that a page once opened stays true."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from brender.store import questions
from dashboard.api import farm

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> Response:
    return redirect(url_for("pages.jobs"))


@blueprint.get("/jobs/")
def jobs() -> str:
    return render_template("jobs.html")


@blueprint.get("/jobs/<id>")
def job(id: str) -> str:
    with farm().reader.record() as record:
        found = questions.job(record, id)
    return render_template("job.html", job=found)


@blueprint.get("/workers/")
def workers() -> str:
    return render_template("workers.html")


@blueprint.get("/managers/")
def managers() -> str:
    return render_template("managers.html")


@blueprint.get("/activity/")
def activity() -> str:
    return render_template("activity.html")

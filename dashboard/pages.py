"""The pages. Each is a frame that its script fills from the API, so that a page once opened stays true."""

import msgspec
from flask import Blueprint, Response, render_template, request, send_from_directory, url_for
from flask_login import current_user
from markupsafe import Markup

from brender.engines.log_end import NOISE
from brender.jobs.declare import GROUPS, label_of, say_settings, submitted_types
from brender.model.addon import AddOn
from brender.model.causes import WORDS
from brender.model.errors import NotFound
from brender.model.keys import KeyRole
from brender.model.naming import EXTENSIONS
from brender.model.paths import PLATFORMS
from brender.model.people import Role
from brender.store import page_questions, questions
from brender.system import manual
from dashboard.farm import farm
from dashboard.own_types import broken_types, own_types
from dashboard.people import need

blueprint = Blueprint("pages", __name__)


@blueprint.get("/docs/", defaults={"page": "index.html"})
@blueprint.get("/docs/<path:page>")
def docs(page: str) -> Response:
    """The documentation of this version, as it is in the package."""
    if not manual.has_manual():
        raise NotFound("The documentation is not built on the dashboard's machine. `brender docs` says there how to build it")
    return send_from_directory(manual.FOLDER, page)


@blueprint.get("/", endpoint="farm")
def farm_page() -> str:
    return render_template("farm.html")


@blueprint.get("/jobs/")
def jobs() -> str:
    return render_template("jobs.html")


@blueprint.get("/jobs/<id>")
def job(id: str) -> str:
    with farm().reader.record() as record:
        found = questions.job_without_counts(record, id)
    said = say_settings(found["job_type"], found["settings"], found["overwrite"])
    label = label_of(found["job_type"], found["settings"])
    may_act = current_user.may_act_on(found)
    known = found["job_type"] in submitted_types()
    told = {"formats": list(EXTENSIONS), "is_in_form": known}
    return render_template("job.html", job=found, said=said, type=label, may_act=may_act, noise=NOISE, **told)


@blueprint.get("/submit")
def submit() -> str:
    need("submit")
    again = request.args.get("again", "")
    with farm().reader.record() as record:
        first = questions.job_without_counts(record, again) if again else None
        projects = questions.projects(record)
        pools = questions.pools(record)
        addons = [msgspec.convert(row["addon"], AddOn).label for row in questions.addons(record)]
    kinds = [*submitted_types().values(), *own_types().values()]
    told = {"projects": projects, "pools": pools, "addons": addons, "kinds": kinds}
    return render_template("submit.html", **told, first=first, groups=GROUPS, broken=broken_types())


@blueprint.get("/workers/")
def workers() -> str:
    return render_template("workers.html")


@blueprint.get("/workers/<id>")
def worker(id: str) -> str:
    with farm().reader.record() as record:
        found = page_questions.worker(record, id)
    return render_template("worker.html", worker=found)


@blueprint.get("/managers/")
def managers() -> str:
    return render_template("managers.html")


@blueprint.get("/managers/<id>")
def manager(id: str) -> str:
    with farm().reader.record() as record:
        found = page_questions.manager(record, id)
    return render_template("manager.html", manager=found)


@blueprint.get("/projects/")
def projects() -> str:
    return render_template("projects.html")


@blueprint.get("/accounts/")
def accounts() -> str:
    need("accounts")
    return render_template("accounts.html", sees_all=current_user.may("accounts", ""), causes=WORDS)


@blueprint.get("/activity/")
def activity() -> str:
    return render_template("activity.html")


@blueprint.get("/settings/")
def settings() -> str:
    need("manage keys")
    return render_template("settings.html", roles=list(KeyRole), platforms=PLATFORMS)


@blueprint.get("/users/")
def users() -> str:
    need("manage set-user")
    return render_template("users.html", roles=list(Role))


@blueprint.app_template_filter()
def prose(text: str) -> Markup:
    """Return a sentence with commands between backticks as HTML that shows them as code. (Scripts have `farm.prose`.)"""
    pieces = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(each) if place % 2 else each for place, each in enumerate(pieces))


@blueprint.app_context_processor
def _links() -> dict[str, object]:
    """Return the pages that the user of now may open."""
    if not current_user.is_authenticated:
        return {"menu": []}
    shown = [("farm", "Farm"), ("jobs", "Jobs"), ("workers", "Workers"), ("managers", "Managers")]
    shown += [("projects", "Projects"), ("accounts", "Accounts"), ("activity", "Activity")]
    shown += [("users", "Users")] if current_user.may("manage set-user") else []
    shown += [("settings", "Settings")] if current_user.may("manage keys") else []
    return {"menu": [(url_for(f"pages.{page}"), f"pages.{page}", label) for page, label in shown], "rights": current_user.rights}

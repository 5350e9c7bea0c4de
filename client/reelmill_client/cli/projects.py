"""Commands about projects: reelmill projects list, create, get, update and delete."""

from typing import Annotated, cast

import typer

from reelmill.v1.project_service_pb2 import Project
from reelmill_client.cli import service_tables
from reelmill_client.cli.session import Session, session_of
from reelmill_client.requests import ProjectSettings, pairs

app = typer.Typer(no_args_is_help=True, help="Projects, which group tasks.")

_Name = Annotated[str, typer.Argument(metavar="NAME")]
_Description = Annotated[str | None, typer.Option(help="1 to 256 characters.")]
_ServiceRole = Annotated[str | None, typer.Option(help="The role with which storage is accessed.")]
_TemplateId = Annotated[str | None, typer.Option(help="Workflow template.")]
_Concurrency = Annotated[int | None, typer.Option(help="Most tasks running at once; others wait. 0: the server's default.")]
_Queue = Annotated[int | None, typer.Option(help="Most tasks waiting; others are refused. 0: the server's default.")]
_Weight = Annotated[float | None, typer.Option(help="Share of the workers while other projects wait too. 0: 1.")]
_Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A label; may be repeated.")]


@app.command(name="list")
def list_(
    context: typer.Context,
    prefix: Annotated[str, typer.Option(help="What the name begins with.")] = "",
    tag: _Tags = None,
) -> None:
    """List projects."""
    session = session_of(context)
    with session.client() as client:
        projects = client.projects.list(prefix=prefix, tags=pairs(tag or []))
        if session.json:
            for project in projects:
                session.print_json(project)
        else:
            service_tables.print_projects(session, list(projects))


@app.command()
def create(
    context: typer.Context,
    name: _Name,
    *,
    description: _Description = None,
    service_role: _ServiceRole = None,
    template_id: _TemplateId = None,
    engine_concurrency: _Concurrency = None,
    max_queued_tasks: _Queue = None,
    fairness_weight: _Weight = None,
    tag: _Tags = None,
) -> None:
    """Create a project."""
    session = session_of(context)
    settings = _settings(
        tag,
        description=description,
        service_role=service_role,
        template_id=template_id,
        engine_concurrency=engine_concurrency,
        max_queued_tasks=max_queued_tasks,
        fairness_weight=fairness_weight,
    )
    with session.client() as client:
        _print(session, client.projects.create(name, **settings))


@app.command()
def get(context: typer.Context, name: _Name) -> None:
    """Print one project."""
    session = session_of(context)
    with session.client() as client:
        _print(session, client.projects.get(name))


@app.command()
def update(
    context: typer.Context,
    name: _Name,
    *,
    description: _Description = None,
    service_role: _ServiceRole = None,
    template_id: _TemplateId = None,
    engine_concurrency: _Concurrency = None,
    max_queued_tasks: _Queue = None,
    fairness_weight: _Weight = None,
    tag: _Tags = None,
) -> None:
    """Change the given settings and leave the others. Given tags replace all tags."""
    session = session_of(context)
    settings = _settings(
        tag,
        description=description,
        service_role=service_role,
        template_id=template_id,
        engine_concurrency=engine_concurrency,
        max_queued_tasks=max_queued_tasks,
        fairness_weight=fairness_weight,
    )
    with session.client() as client:
        _print(session, client.projects.update(name, **settings))


@app.command()
def delete(
    context: typer.Context,
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a project with its finished tasks."""
    session = session_of(context)
    if session.interactive and not yes:
        typer.confirm(f"Delete project {name} with its finished tasks?", abort=True, err=True)
    with session.client() as client:
        client.projects.delete(name)
    if session.json:
        session.print_json_data({})
    else:
        session.out.print(f"{name}: deleted", soft_wrap=True)


def _settings(tag: list[str] | None, **options: object) -> ProjectSettings:
    """Return the settings that the command line names, and no others."""
    settings = {name: value for name, value in options.items() if value is not None}
    return cast(ProjectSettings, {**settings, "tags": pairs(tag or [])})


def _print(session: Session, project: Project) -> None:
    if session.json:
        session.print_json(project)
    else:
        service_tables.print_project(session, project)

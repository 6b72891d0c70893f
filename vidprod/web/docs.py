"""The API's own description: the OpenAPI document, and a page that shows it without asking anyone else for anything."""

from html import escape
from typing import Any

import msgspec
from litestar import MediaType, Response
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.serialization import encode_json

from vidprod import __version__
from vidprod.domain.account import AccountSettings
from vidprod.domain.recipe import GAZE_OPTIONS, Recipe
from vidprod.domain.target import FIELDS
from vidprod.web.connecting import ConnectOrder
from vidprod.web.deliveries import Span
from vidprod.web.desk import HttpRequest
from vidprod.web.endpoints import EndpointEdit, NewEndpoint
from vidprod.web.keys import NewKey, Rotation
from vidprod.web.links import LinkOrder
from vidprod.web.login import Credentials, Setup
from vidprod.web.posts import Draft
from vidprod.web.problems import MEDIA_TYPE, Problem
from vidprod.web.publications import PublicationEdit, PublicationOrder, Rewording, Seen
from vidprod.web.push import NewSubscription
from vidprod.web.quote import Question
from vidprod.web.reading import read
from vidprod.web.review import SegmentEdit
from vidprod.web.rules import Need, need_of
from vidprod.web.security import Code, Confirmed, NewPassword
from vidprod.web.uploads.order import PRIORITIES, REVIEW, WEBHOOK

_UPLOAD_REFUSALS = {
    "408": "The client sent nothing, or next to nothing, for too long.",
    "409": "A request with this Idempotency-Key is under way.",
    "413": "Larger than the limit; told before its bytes are taken where the length is announced.",
    "415": "Not a video, by its first bytes; told as soon as they are there.",
    "422": "An option is unknown or out of range, or the Idempotency-Key belongs to another request.",
    "429": "More than this client may send, or the day's bytes are used up; see Retry-After.",
    "503": "Too many uploads at once, or the daemon is stopping; see Retry-After.",
    "507": "The volume is too full.",
}
_RENDER_REFUSALS = {
    "409": "Its job is not completed, its take is gone, or it is being made again already.",
    "422": "An option is unknown or out of range, or the Idempotency-Key belongs to another request.",
}
_BODIES: dict[tuple[str, str], type] = {  # read by hand
    ("post", "/v1/accounts/connect"): ConnectOrder,
    ("patch", "/v1/accounts/{account_id}"): AccountSettings,
    ("post", "/v1/publications"): PublicationOrder,
    ("patch", "/v1/publications/{publication_id}"): PublicationEdit,
    ("post", "/v1/publications/{publication_id}/retry"): Rewording,
    ("post", "/v1/publications/{publication_id}/settle"): Seen,
    ("patch", "/v1/segments/{segment_id}"): SegmentEdit,
    ("post", "/v1/posts/preview"): Draft,
    ("post", "/v1/segments/{segment_id}/link"): LinkOrder,
    ("post", "/login"): Credentials,
    ("post", "/setup"): Setup,
    ("post", "/v1/security/password"): NewPassword,
    ("post", "/v1/security/totp"): Confirmed,
    ("post", "/v1/security/totp/confirm"): Code,
    ("post", "/v1/security/totp/off"): Confirmed,
    ("post", "/v1/security/recovery-codes"): Confirmed,
    ("post", "/v1/keys"): NewKey,
    ("post", "/v1/keys/{key_id}/rotate"): Rotation,
    ("post", "/v1/endpoints"): NewEndpoint,
    ("post", "/v1/push/subscriptions"): NewSubscription,
    ("patch", "/v1/endpoints/{endpoint_id}"): EndpointEdit,
    ("post", "/v1/endpoints/{endpoint_id}/replay"): Span,
}
_KEY = "key"
_METHODS = ("get", "put", "post", "patch", "delete")


@read("/openapi.json", include_in_schema=False)
async def get_document(request: HttpRequest) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(encode_json(_document(request)), media_type="application/json")


@read("/docs/style.css", include_in_schema=False)
async def get_style() -> Response[str]:
    """How the page looks."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "no-cache"})


class Document(OpenAPIRenderPlugin):
    """The document where Litestar puts its own, which says less; programs look for it there."""

    def render(self, request: HttpRequest, openapi_schema: dict[str, Any]) -> bytes:
        return encode_json(_document(request))


class Page(OpenAPIRenderPlugin):
    """The document, readable."""

    def render(self, request: HttpRequest, openapi_schema: dict[str, Any]) -> bytes:
        return _page(_document(request)).encode()


OPENAPI = OpenAPIConfig(
    title="VidProd",
    version=__version__,
    description="A take goes in, finished vertical segments come out.",
    use_handler_docstrings=True,
    path="/docs",
    render_plugins=[Page(path="/"), Document(path="/openapi.json", media_type=MediaType.JSON)],
)


def _document(request: HttpRequest) -> dict[str, Any]:
    """What Litestar reads from the handlers, with what it cannot see there: bodies that are read as streams, the
    options in their query, and the one shape of every error."""
    document = request.app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    document["components"]["securitySchemes"] = {
        _KEY: {"type": "http", "scheme": "bearer", "description": "A key, as `vidprod keys add` prints it once."}
    }
    schemas["Problem"] = msgspec.json.schema(Problem, ref_template="{name}")["$defs"]["Problem"]
    refusal = {"description": "What is wrong.", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
    for path, item in document["paths"].items():
        item.pop("head", None)  # wherever GET is
        for method, operation in item.items():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = refusal
            if path.startswith("/upload"):
                _describe_upload(method, operation)
            if path == "/v1/segments/{segment_id}/render":
                _describe_render(operation)
            if path == "/v1/quote":
                _describe_quote(operation)
            _describe_need(operation, need_of(method.upper(), path))
            if (shape := _BODIES.get((method, path))) is not None:
                _describe_body(operation, shape, schemas)
    return document


def _describe_need(operation: dict[str, Any], need: Need | None) -> None:
    """Which scope a key needs; who signed in has all, and where nobody is asked none is needed."""
    if need == "owner":
        operation["security"] = [{}]
        operation["description"] = f"{operation.get('description', '')} For the owner's own browser: no key may."
    elif need is not None and need not in ("nothing", "anybody"):
        operation["security"] = [{_KEY: []}, {}]
        operation["description"] = f"{operation.get('description', '')} A key needs the scope `{need}`."


def _describe_upload(method: str, operation: dict[str, Any]) -> None:
    options = _upload_options()
    operation["parameters"] = [
        *operation.get("parameters", []),
        *(
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in options.items()
            if name != "webhook_secret"
        ),
        _idempotency_key(
            "A repeat of the same request under the same key gets the first answer. The method, the address, the "
            "length and, in a form, the fields before the file make it the same."
        ),
    ]
    file = {"type": "string", "format": "binary"}
    if method == "post":
        form = {"type": "object", "properties": {"file": file, **options}, "required": ["file"]}
        content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    else:
        content = {"application/octet-stream": {"schema": file}}
    operation["requestBody"] = {"required": True, "content": content}
    for status, why in _UPLOAD_REFUSALS.items():
        operation["responses"][status] = {
            "description": why,
            "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
        }


def _describe_render(operation: dict[str, Any]) -> None:
    options = {name: schema for name, schema in _recipe_options().items() if name in GAZE_OPTIONS}
    operation["parameters"] = [
        *operation.get("parameters", []),
        *({"name": name, "in": "query", "required": False, "schema": schema} for name, schema in options.items()),
        _idempotency_key("A repeat of the same request under the same key gets the first answer."),
    ]
    shape = {"schema": {"type": "object", "properties": options}}
    kinds = ("application/json", "application/x-www-form-urlencoded")
    operation["requestBody"] = {"required": False, "content": dict.fromkeys(kinds, shape)}
    for status, why in _RENDER_REFUSALS.items():
        operation["responses"][status] = {
            "description": why,
            "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
        }


def _describe_quote(operation: dict[str, Any]) -> None:
    asked: dict[str, Any] = msgspec.json.schema(Question)["$defs"]["Question"]["properties"]
    options = {name: schema for name, schema in _upload_options().items() if name != "webhook_secret"}
    operation["parameters"] = [
        {"name": name, "in": "query", "required": name == "size", "schema": schema}
        for name, schema in {**asked, **options}.items()
    ]


def _describe_body(operation: dict[str, Any], shape: type, schemas: dict[str, Any]) -> None:
    (schema,), parts = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
    schemas.update(parts)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}


def _idempotency_key(description: str) -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "maxLength": 255},
    }


def _recipe_options() -> dict[str, Any]:
    recipe: dict[str, Any] = msgspec.json.schema(Recipe)["$defs"]["Recipe"]["properties"]
    number = {"type": "number", "minimum": 0, "maximum": 1}
    gaze = recipe["gaze"]  # a number is short for two options
    recipe["gaze"] = {"anyOf": [{"enum": gaze["enum"]}, number], **{k: v for k, v in gaze.items() if k != "enum"}}
    return recipe


def _upload_options() -> dict[str, Any]:
    return {
        "filename": {"type": "string", "description": "the take's name, to show"},
        "priority": {"enum": list(PRIORITIES), "default": "normal"},
        "recipe": {"type": "string", "description": "every option at once, as a JSON object"},
        **_recipe_options(),
        **{
            name: {"type": "string", "description": description}
            for name, description in {**FIELDS, **REVIEW, **WEBHOOK}.items()
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(document: dict[str, Any]) -> str:
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, item in sorted(document["paths"].items())
        for method in _METHODS
        if (operation := item.get(method))
    ]
    links = "".join(
        f'<li><a href="#{_anchor(m, p)}"><b class="{m}">{m.upper()}</b> {escape(p)}</a></li>' for m, p, _ in operations
    )
    schemas = document.get("components", {}).get("schemas", {})
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>{escape(info["title"])} API</title>'
        '<link rel="icon" href="/static/favicon.svg"><link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<header><h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info.get('description', ''))} Errors are <code>application/problem+json</code> (RFC 9457) with "
        'a <code>code</code> and a <code>hint</code>. <a href="/openapi.json">The OpenAPI document</a> is for '
        f'programs, <a href="/">the page</a> for people.</p></header><nav aria-label="Requests"><ul>{links}</ul></nav>'
        f"<main>{''.join(_operation(*one) for one in operations)}<h2>Shapes</h2>"
        f"{''.join(_schema(name, schema) for name, schema in sorted(schemas.items()))}</main></body></html>"
    )


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""), quote=True)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    description = operation.get("description") or operation.get("summary", "")
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{_answer(answer)}</td></tr>"
        for status, answer in sorted(operation.get("responses", {}).items())
    )
    return (
        f'<section id="{_anchor(method, path)}"><h2><b class="{method}">{method.upper()}</b> <code>{escape(path)}'
        f"</code></h2><p>{_prose(description)}</p>{_parameters(operation.get('parameters', []))}"
        f"<table><caption>Answers</caption><tbody>{answers}</tbody></table></section>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}"
        f"{', required' if one.get('required') else ''}</td><td>{_type(one.get('schema', {}))}</td>"
        f"<td>{_prose(one.get('description') or one.get('schema', {}).get('description', ''))}</td></tr>"
        for one in parameters
    )
    return f"<table><caption>Parameters</caption><tbody>{rows}</tbody></table>"


def _answer(answer: dict[str, Any]) -> str:
    shapes = [
        f"{escape(media_type)} {_type(content.get('schema', {}))}"
        for media_type, content in answer.get("content", {}).items()
    ]
    return f"{escape(answer.get('description', ''))} {' or '.join(shapes)}"


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' (optional)'}</td><td>{_type(of)}</td>"
        f"<td>{_prose(of.get('description', ''))}</td></tr>"
        for field, of in schema.get("properties", {}).items()
    )
    return (
        f'<section id="{escape(name, quote=True)}"><h3>{escape(schema.get("title", name))}</h3>'
        f"<p>{_prose(schema.get('description', ''))}</p><table><tbody>{rows}</tbody></table></section>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name, quote=True)}">{escape(name.rpartition("_")[2] or name)}</a>'
    for group in ("oneOf", "anyOf", "allOf"):
        if group in schema:
            return " or ".join(_type(one) for one in schema[group])
    if "enum" in schema:
        return " | ".join(escape(str(value)) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([escape(kind if isinstance(kind, str) else " or ".join(kind)), *limits])


def _prose(text: str) -> str:
    """Escaped, with `code` as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: light-dark(#0b57d0, #8ab4f8) }
html { background: light-dark(#fff, #131416); color: light-dark(#1b1c1f, #e6e7ea) }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem }
a { color: var(--link) }
h1 small { font-weight: 400; font-size: 60% }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem }
nav ul { list-style: none; padding: .75rem 1rem; background: var(--soft); border-radius: .5rem; columns: 2 20rem }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: .25em }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
caption { text-align: left; font-weight: 600 }
td { border-top: 1px solid var(--line); padding: .3rem .75rem .3rem 0; vertical-align: top; overflow-wrap: anywhere }
b.get { color: light-dark(#0b57d0, #8ab4f8) }
b.put, b.post, b.patch { color: light-dark(#146c2e, #6dd58c) }
b.delete { color: light-dark(#b3261e, #f2b8b5) }
section:target { outline: 2px solid var(--link); outline-offset: .5rem; border-radius: .25rem }
"""

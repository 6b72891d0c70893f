"""What each route asks for. One table: a test walks the routes, and one that is not in here is refused.

`nothing`: anybody may come, and is not looked at. `anybody`: the same, but who is known is known there. `owner`: the
owner's own browser, or whoever comes where nobody is asked: no key. Otherwise a scope: every owner has it, a key where
it was given.
"""

from typing import Literal

from vidprod.domain.who import Scope

Need = Literal["nothing", "anybody", "owner"] | Scope

_ROUTES: dict[Need, str] = {
    "nothing": """
        GET /health
        GET /login
        GET /setup
        GET /static/{path}
        GET /favicon.ico
        GET /sw.js
        GET /docs/style.css
        GET /public/{name}
        GET /oauth/{platform}
    """,
    "anybody": """
        GET /ready
        GET /login/state
        GET /metrics
        POST /login
        POST /setup
        POST /logout
    """,
    "owner": """
        GET /v1/security
        POST /v1/security/password
        POST /v1/security/totp
        GET /v1/security/totp.svg
        POST /v1/security/totp/confirm
        POST /v1/security/totp/off
        POST /v1/security/recovery-codes
        DELETE /v1/sessions
        DELETE /v1/sessions/{session_id}
        GET /v1/push/key
        GET /v1/push/subscriptions
        POST /v1/push/subscriptions
        DELETE /v1/push/subscriptions/{subscription_id}
        POST /v1/push/subscriptions/{subscription_id}/test
    """,
    "read": """
        GET /
        GET /docs
        GET /docs/openapi.json
        GET /docs/{path}
        GET /openapi.json
        GET /status/{job_id}
        GET /v1/jobs
        GET /v1/quote
        GET /v1/pressure
        GET /v1/backup
        GET /v1/uploads
        GET /v1/uploads/{upload_id}
        GET /v1/jobs/{job_id}
        GET /v1/jobs/{job_id}/segments.zip
        GET /v1/segments/{segment_id}/{kind}
        GET /v1/segments/{segment_id}/cut
        GET /v1/review
        GET /v1/accounts
        GET /v1/accounts/{account_id}
        GET /v1/accounts/{account_id}/choices
        GET /v1/publications
        GET /v1/publications/{publication_id}
        GET /v1/publications/{publication_id}/receipt
        GET /v1/calendar
        GET /v1/events
        GET /v1/events/stream
        POST /v1/posts/preview
    """,
    "upload": """
        POST /upload
        PUT /upload
        PUT /upload/{name}
        POST /share
        GET /files
        POST /files
        PUT /files
        PATCH /files
        DELETE /files
        GET /files/{upload_id}
        POST /files/{upload_id}
        PUT /files/{upload_id}
        PATCH /files/{upload_id}
        DELETE /files/{upload_id}
        POST /v1/jobs/{job_id}/cancel
        POST /v1/jobs/{job_id}/retry
        DELETE /v1/jobs/{job_id}
        POST /v1/segments/{segment_id}/render
        POST /v1/segments/{segment_id}/retry
    """,
    "publish": """
        POST /v1/publications
        PATCH /v1/publications/{publication_id}
        POST /v1/publications/{publication_id}/publish
        POST /v1/publications/{publication_id}/approve
        POST /v1/publications/{publication_id}/cancel
        POST /v1/publications/{publication_id}/retry
        POST /v1/publications/{publication_id}/check
        POST /v1/accounts/{account_id}/pause
        POST /v1/accounts/{account_id}/resume
        POST /v1/publishing/pause
        POST /v1/publishing/resume
        PATCH /v1/segments/{segment_id}
        POST /v1/segments/{segment_id}/keep
        POST /v1/segments/{segment_id}/drop
        POST /v1/segments/{segment_id}/restore
        POST /v1/jobs/{job_id}/keep
        POST /v1/segments/{segment_id}/link
        DELETE /v1/segments/{segment_id}/links
    """,
    "admin": """
        POST /v1/publications/{publication_id}/settle
        POST /v1/accounts/connect
        PATCH /v1/accounts/{account_id}
        DELETE /v1/accounts/{account_id}
        POST /v1/accounts/rotate-keys
        POST /v1/publishing/move-out
        GET /v1/endpoints
        POST /v1/endpoints
        GET /v1/endpoints/{endpoint_id}
        PATCH /v1/endpoints/{endpoint_id}
        DELETE /v1/endpoints/{endpoint_id}
        POST /v1/endpoints/{endpoint_id}/test
        POST /v1/endpoints/{endpoint_id}/rotate
        POST /v1/endpoints/{endpoint_id}/enable
        POST /v1/endpoints/{endpoint_id}/disable
        GET /v1/endpoints/{endpoint_id}/deliveries
        POST /v1/endpoints/{endpoint_id}/replay
        GET /v1/deliveries/{delivery_id}
        POST /v1/deliveries/{delivery_id}/replay
        GET /v1/keys
        POST /v1/keys
        DELETE /v1/keys/{key_id}
        GET /v1/audit
        POST /v1/keys/{key_id}/rotate
    """,
}

RULES: dict[str, Need] = {line.strip(): need for need, lines in _ROUTES.items() for line in lines.strip().split("\n")}


def need_of(method: str, route: str) -> Need | None:
    """What a request asks for; None where no rule was made for it. OPTIONS says only what methods there are.

    Args:
        route: with names in place of what differs: "/v1/jobs/{job_id}".
    """
    if method == "OPTIONS":
        return "nothing"
    return RULES.get(f"{'GET' if method == 'HEAD' else method} {route}")

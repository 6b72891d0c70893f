"""What is said with a published segment: templates, the text that comes of them, and each platform's limits.

Each platform counts in its own way, and so it is counted here before the first byte is sent, and while somebody types.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from vidprod.errors import BadWording

if TYPE_CHECKING:
    from vidprod.domain.account import Platform

Privacy = Literal["public", "unlisted", "private", "friends", "followers"]


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a job or an account asks to be said. None: not said here, so the next one is asked: the job's target, the
    account, the default. Templates know {title}, {n}, {total}, {filename}, {date}."""

    title: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    caption: Annotated[str, msgspec.Meta(max_length=10000)] | None = None
    hashtags: Annotated[list[str], msgspec.Meta(max_length=100)] | None = None
    privacy: Privacy | None = None
    made_for_kids: bool | None = None
    comments: bool | None = None
    duet: bool | None = None
    stitch: bool | None = None
    synthetic: bool | None = None  # None: as the segment is
    cover_ms: (
        Annotated[
            int, msgspec.Meta(ge=0, description="at TikTok and Instagram; YouTube chooses a Short's frame itself")
        ]
        | None
    ) = None
    notify: bool | None = None  # YouTube: subscribers
    share_to_feed: bool | None = None  # Instagram
    category: Annotated[str, msgspec.Meta(max_length=10)] | None = None  # YouTube's categoryId
    brand_content: bool | None = None  # YouTube, TikTok: paid partnership
    brand_organic: bool | None = None  # TikTok: own business


class Post(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one publication says, in full: no template, nothing left open. Hashtags without "#". A privacy of None is
    nobody's choice: TikTok wants a person to make it."""

    title: str = ""
    caption: str = ""
    hashtags: list[str] = []
    privacy: Privacy | None = "public"
    made_for_kids: bool = False
    comments: bool = True
    duet: bool = True
    stitch: bool = True
    synthetic: bool = False
    synthetic_reason: str | None = None
    cover_ms: int = 0
    notify: bool = True
    share_to_feed: bool = True
    category: str = "22"
    brand_content: bool = False
    brand_organic: bool = False


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What templates can name of one segment."""

    title: str
    n: int  # from 1
    total: int
    filename: str
    date: str  # "2026-11-21"


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a limit a text uses, as the platform counts."""

    used: int
    max: int
    unit: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform takes, in its own units. None: it has no such thing, or names no limit."""

    title: tuple[int, str] | None = None
    caption: tuple[int, str]
    hashtags: tuple[int, str] | None = None
    mentions: tuple[int, str] | None = None
    tags: tuple[int, str] | None = None
    privacy: tuple[Privacy, ...]
    refused: str = ""  # characters that may not occur


SAID = "as asked"  # the reason of a disclosure that somebody chose

# platforms.md 1.3, 2.4, 3.4
_LIMITS: dict[str, Limits] = {
    "youtube": Limits(
        title=(100, "characters"),
        caption=(5000, "UTF-8 bytes"),
        tags=(500, "characters"),
        privacy=("public", "unlisted", "private"),
        refused="<>",
    ),
    "tiktok": Limits(
        caption=(2200, "UTF-16 units"),
        privacy=("public", "friends", "followers", "private"),
    ),
    "instagram": Limits(
        caption=(2200, "characters"),
        hashtags=(5, "hashtags"),  # of the platform since December 2025; its API alone would take 30
        mentions=(20, "mentions"),
        privacy=("public",),
    ),
}
NAMES: Mapping[str, str] = {"youtube": "YouTube", "tiktok": "TikTok", "instagram": "Instagram"}

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HASHTAG = re.compile(r"(?<![\w#&/])#([^\s!-/:-@\[-^`{-~]+)")
_MENTION = re.compile(r"(?<![\w@.])@\w")
_NOT_IN_HASHTAG = re.compile(r"[\s!-/:-@\[-^`{-~]")  # punctuation of ASCII ends a hashtag, all but _


def limits_of(platform: "Platform") -> Limits:
    """What `platform` takes."""
    return _LIMITS[platform]


def render(template: str, fields: Fields) -> str:
    """`template` with its fields filled in; braces that are meant are written twice.

    Raises:
        BadWording: it names a field that there is not, or has a brace alone.
    """
    values = {name: str(getattr(fields, name)) for name in fields.__struct_fields__}
    return _TOKEN.sub(lambda found: _filled(found, values), template)


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    name = found[1]
    if name is not None and name in values:
        return values[name]
    if found[0] in ("{{", "}}"):
        return found[0][0]
    known = ", ".join(f"{{{field}}}" for field in values)
    if name is None:
        raise BadWording(f'a "{found[0]}" stands alone', hint=f"Write it twice, or name a field: {known}.")
    raise BadWording(f'there is no field "{found[0]}"', hint=f"There are {known}; a brace itself is written twice.")


def names_fields(template: str) -> bool:
    """Whether something of it differs from segment to segment."""
    return any(found[1] is not None for found in _TOKEN.finditer(template))


def check_wording(wording: Wording) -> None:
    """Raises BadWording, naming every template that cannot be filled in."""
    anything = Fields(title="", n=1, total=1, filename="", date="")
    faults, hint = [], ""
    templates = {"title": wording.title, "caption": wording.caption}
    templates |= {f"hashtags[{place}]": tag for place, tag in enumerate(wording.hashtags or [])}
    for name, template in templates.items():
        try:
            render(template or "", anything)
        except BadWording as error:
            faults.append(f"{name}: {error}")
            hint = error.hint
    if faults:
        raise BadWording("; ".join(faults), hint=hint)


def merge(*wordings: Wording) -> Wording:
    """What is said in all: of each option the first that says something: the target's, the account's, the default."""
    said: dict[str, object] = {}
    for wording in reversed(wordings):
        said |= {name: value for name in Wording.__struct_fields__ if (value := getattr(wording, name)) is not None}
    return msgspec.convert(said, Wording)


def default_wording(platform: "Platform", *, total: int) -> Wording:
    """What is said where nobody says anything. TikTok wants a person to choose who sees it, and what viewers may do."""
    title = "{title} – part {n} of {total}" if total > 1 else "{title}"
    if platform == "tiktok":
        return Wording(title=title, comments=False, duet=False, stitch=False)
    return Wording(title=title, privacy="public")


def compose(wording: Wording, fields: Fields, *, synthetic: bool = False, synthetic_reason: str | None = None) -> Post:
    """What comes of `wording` for one segment.

    Args:
        wording: merged; the default last.
        synthetic, synthetic_reason: of the segment's file; what the wording says of it is taken first.
    Raises:
        BadWording: a template cannot be filled in.
    """
    said = {name: value for name in Wording.__struct_fields__ if (value := getattr(wording, name)) is not None}
    disclosed = {"synthetic": synthetic, "synthetic_reason": synthetic_reason}
    if wording.synthetic is not None:
        disclosed = {"synthetic": wording.synthetic, "synthetic_reason": SAID}
    return Post(
        **said
        | disclosed
        | {
            "title": _one_line(render(wording.title or "", fields)),
            "caption": render(wording.caption or "", fields).strip(),
            "hashtags": clean_hashtags(render(tag, fields) for tag in wording.hashtags or []),
            "privacy": wording.privacy,
        }
    )


def reword(post: Post, wording: Wording) -> Post:
    """`post` with what `wording` says, to the letter: that is no template."""
    said = {name: value for name in Wording.__struct_fields__ if (value := getattr(wording, name)) is not None}
    if wording.title is not None:
        said["title"] = _one_line(wording.title)
    if wording.caption is not None:
        said["caption"] = wording.caption.strip()
    if wording.hashtags is not None:
        said["hashtags"] = clean_hashtags(wording.hashtags)
    if wording.synthetic is not None:
        said["synthetic_reason"] = SAID
    return msgspec.structs.replace(post, **said)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def clean_hashtags(hashtags: Iterable[str]) -> list[str]:
    """Without "#" and what is around, each once whatever its case."""
    kept: dict[str, str] = {}
    for hashtag in hashtags:
        name = hashtag.strip().lstrip("#").strip()
        if name:
            kept.setdefault(name.casefold(), name)
    return list(kept.values())


def disclose(post: Post, *, synthetic: bool, reason: str | None) -> Post:
    """`post` of a segment that was made again; what somebody chose stays."""
    if post.synthetic_reason == SAID:
        return post
    return msgspec.structs.replace(post, synthetic=synthetic, synthetic_reason=reason)


def text_of(post: Post, platform: "Platform") -> str:
    """The caption as it is sent, with the hashtags that it does not have already. Where there is no title of its own,
    a post without a caption is sent with its title."""
    caption = post.caption or ("" if platform == "youtube" else post.title)
    has = {found.casefold() for found in _HASHTAG.findall(caption)}
    more = " ".join(f"#{hashtag}" for hashtag in post.hashtags if hashtag.casefold() not in has)
    return "\n\n".join(part for part in (caption, more) if part)


def tags_of(post: Post) -> list[str]:
    """YouTube's tags: the hashtags, as words."""
    return list(post.hashtags)


def counts(post: Post, platform: "Platform") -> dict[str, Count]:
    """How much of each limit the post uses."""
    limits, text = limits_of(platform), text_of(post, platform)
    used = {
        "title": len(post.title),
        "caption": _length(text, limits.caption[1]),
        "hashtags": len(_HASHTAG.findall(text)),
        "mentions": len(_MENTION.findall(text)),
        "tags": _tags_length(tags_of(post)),
    }
    return {
        name: Count(used=used[name], max=limit[0], unit=limit[1])
        for name in used
        if (limit := getattr(limits, name)) is not None
    }


def faults(post: Post, platform: "Platform", *, direct: bool = True, duration_us: int | None = None) -> list[str]:
    """What of the post the platform would refuse, in words; none: it takes it.

    Args:
        direct: False: a draft at TikTok, where all but the text is chosen in the app.
        duration_us: of the segment, where it is known.
    """
    name, limits = NAMES[platform], limits_of(platform)
    found = [
        f"{_called(what, platform)}: {count.used:,} {count.unit}, {name} takes {count.max:,}"
        for what, count in counts(post, platform).items()
        if count.used > count.max
    ]
    if limits.title is not None and not post.title:
        found.append(f"title: it is empty, and {name} wants one")
    for what, text in (("title", post.title), ("caption", text_of(post, platform))):
        if refused := [c for c in limits.refused if c in text]:
            found.append(f"{_called(what, platform)}: {name} refuses {' and '.join(refused)}")
    found += [
        f'hashtags: "{hashtag}" would end at "{wrong[0]}": letters, digits and _ only'
        for hashtag in post.hashtags
        if (wrong := _NOT_IN_HASHTAG.search(hashtag)) is not None
    ]
    if direct or platform != "tiktok":
        found += _privacy_faults(post, platform)
    if platform != "youtube" and duration_us is not None and post.cover_ms * 1000 >= duration_us:
        found.append(f"cover_ms: {post.cover_ms} is not within the segment, which takes {duration_us // 1000} ms")
    return found


def _called(what: str, platform: "Platform") -> str:
    return "description" if (what, platform) == ("caption", "youtube") else what


def _privacy_faults(post: Post, platform: "Platform") -> list[str]:
    name, known = NAMES[platform], limits_of(platform).privacy
    if post.privacy is None:
        return [f"privacy: {name} wants a person to choose who sees it: {', '.join(known)}; say it for the account"]
    if post.privacy not in known:
        others = " or ".join(known)
        return [f"privacy: {name} has no {post.privacy} posts, only {others}"]
    if platform == "tiktok" and post.brand_content and post.privacy == "private":
        return ["privacy: a paid partnership cannot be private at TikTok"]
    return []


def _length(text: str, unit: str) -> int:
    if unit == "UTF-8 bytes":
        return len(text.encode())
    if unit == "UTF-16 units":
        return len(text.encode("utf-16-le")) // 2
    return len(text)


def _tags_length(tags: list[str]) -> int:
    """Separators count, and a tag with a space in it is put in quotes, which count too."""
    return sum(len(tag) + (2 if " " in tag else 0) for tag in tags) + max(0, len(tags) - 1)

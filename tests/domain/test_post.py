"""What is said with a segment, and how each platform counts it."""

import pytest

from vidprod.domain.post import (
    SAID,
    Fields,
    Post,
    Wording,
    check_wording,
    compose,
    counts,
    default_wording,
    disclose,
    faults,
    merge,
    names_fields,
    render,
    reword,
    tags_of,
    text_of,
)
from vidprod.errors import BadWording

FIELDS = Fields(title="My talk", n=2, total=3, filename="my_talk.mp4", date="2026-11-21")


def test_a_template_is_filled_in() -> None:
    assert render("{title} – part {n} of {total} ({filename}, {date})", FIELDS) == (
        "My talk – part 2 of 3 (my_talk.mp4, 2026-11-21)"
    )


def test_braces_that_are_meant_are_written_twice() -> None:
    assert render("{{n}} is {n}, {{{n}}}", FIELDS) == "{n} is 2, {2}"


def test_what_is_filled_in_is_no_template() -> None:
    assert render("{filename}", Fields(title="", n=1, total=1, filename="{n}}.mp4", date="")) == "{n}}.mp4"


@pytest.mark.parametrize(
    "template", ["{titel}", "{}", "{n:02}", "{n.real}", "{title!r}", "{ n }", "a { b", "a } b", "{"]
)
def test_a_template_that_cannot_be_filled_in_names_what_is_wrong(template: str) -> None:
    with pytest.raises(BadWording) as caught:
        render(template, FIELDS)
    assert '"' in str(caught.value)
    assert "{title}, {n}, {total}, {filename}, {date}" in caught.value.hint


def test_every_template_that_cannot_be_filled_in_is_named_at_once() -> None:
    with pytest.raises(BadWording) as caught:
        check_wording(Wording(title="{titel}", caption="{n", hashtags=["fine", "part{x}"]))
    for name in ("title:", "caption:", "hashtags[1]:"):
        assert name in str(caught.value)
    check_wording(Wording(title="{title}", caption="{{}}"))


def test_only_a_template_names_fields() -> None:
    assert names_fields("{title} {n}")
    assert not names_fields("My {{talk}}")


def test_the_target_says_more_than_the_account_and_the_account_more_than_the_default() -> None:
    merged = merge(
        Wording(title="target", comments=False),
        Wording(title="account", caption="account", comments=True, hashtags=[]),
        Wording(title="default", caption="default", hashtags=["default"], privacy="public"),
    )
    assert merged == Wording(title="target", caption="account", comments=False, hashtags=[], privacy="public")


def test_a_post_is_what_comes_of_a_wording() -> None:
    post = compose(
        Wording(title=" {title}\n– {n} ", caption=" Part {n}. ", hashtags=["#Shorts", "shorts", " part{n} ", "#"]),
        FIELDS,
    )
    assert (post.title, post.caption, post.hashtags) == ("My talk – 2", "Part 2.", ["Shorts", "part2"])


def test_a_take_of_one_segment_has_no_parts() -> None:
    one = Fields(title="My talk", n=1, total=1, filename="", date="")
    assert compose(default_wording("youtube", total=1), one).title == "My talk"
    assert compose(default_wording("youtube", total=3), FIELDS).title == "My talk – part 2 of 3"


def test_a_post_discloses_what_the_segment_is() -> None:
    post = compose(Wording(), FIELDS, synthetic=True, synthetic_reason="eyes were turned")
    assert (post.synthetic, post.synthetic_reason) == (True, "eyes were turned")
    assert not disclose(post, synthetic=False, reason=None).synthetic


def test_a_disclosure_that_somebody_chose_stays() -> None:
    post = compose(Wording(synthetic=False), FIELDS, synthetic=True, synthetic_reason="eyes were turned")
    assert (post.synthetic, post.synthetic_reason) == (False, SAID)
    assert disclose(post, synthetic=True, reason="eyes were turned") == post


def test_a_post_is_reworded_to_the_letter() -> None:
    post = Post(title="before", caption="stays", synthetic=True, synthetic_reason="eyes were turned")
    reworded = reword(post, Wording(title=" {n}\n{{x}} ", hashtags=["#a", "A"], synthetic=False))
    assert reworded == Post(title="{n} {{x}}", caption="stays", hashtags=["a"], synthetic=False, synthetic_reason=SAID)
    assert reword(post, Wording()) == post


def test_hashtags_follow_the_caption_but_for_those_it_has() -> None:
    post = Post(title="T", caption="Look, #Shorts!", hashtags=["shorts", "gaze"])
    assert text_of(post, "instagram") == "Look, #Shorts!\n\n#gaze"


def test_without_a_caption_the_title_is_sent_where_there_is_no_title() -> None:
    post = Post(title="My talk", hashtags=["a"])
    assert text_of(post, "tiktok") == text_of(post, "instagram") == "My talk\n\n#a"
    assert text_of(post, "youtube") == "#a"


def test_youtube_counts_characters_in_a_title_and_bytes_in_a_description() -> None:
    post = Post(title="é" * 100, caption="é" * 2500)
    assert (counts(post, "youtube")["title"].used, counts(post, "youtube")["caption"].used) == (100, 5000)
    assert faults(post, "youtube") == []
    assert faults(Post(title="é" * 101, caption="é" * 2501), "youtube") == [
        "title: 101 characters, YouTube takes 100",
        "description: 5,002 UTF-8 bytes, YouTube takes 5,000",
    ]


def test_youtube_refuses_angle_brackets_and_an_empty_title() -> None:
    assert faults(Post(title="a < b", caption="b > a"), "youtube") == [
        "title: YouTube refuses <",
        "description: YouTube refuses >",
    ]
    assert faults(Post(title=""), "youtube") == ["title: it is empty, and YouTube wants one"]
    assert faults(Post(title="a < b > c", privacy="private"), "tiktok") == []


def test_youtube_counts_the_quotes_around_a_tag_with_a_space() -> None:
    assert counts(Post(hashtags=["ab", "c d"]), "youtube")["tags"].used == 2 + 1 + 5
    assert tags_of(Post(hashtags=["ab"])) == ["ab"]
    tags = [f"{n:049}" for n in range(10)]  # 10 × 49 and 9 separators
    assert faults(Post(title="T", hashtags=tags), "youtube") == []
    assert faults(Post(title="T", hashtags=[*tags, "a"]), "youtube") == ["tags: 501 characters, YouTube takes 500"]


def test_tiktok_counts_utf_16_units() -> None:
    assert counts(Post(caption="👁" * 1100), "tiktok")["caption"].used == 2200
    assert faults(Post(caption="👁" * 1100, privacy="private"), "tiktok") == []
    assert faults(Post(caption="👁" * 1100 + "a", privacy="private"), "tiktok") == [
        "caption: 2,201 UTF-16 units, TikTok takes 2,200"
    ]


def test_instagram_counts_characters_hashtags_and_mentions() -> None:
    assert faults(Post(caption="👁" * 2200), "instagram") == []
    assert faults(Post(caption="👁" * 2201), "instagram") == ["caption: 2,201 characters, Instagram takes 2,200"]
    post = Post(caption="#a #b #c me@example.org " + " ".join(f"@u{n}" for n in range(21)), hashtags=["d", "e", "f"])
    assert faults(post, "instagram") == [
        "hashtags: 6 hashtags, Instagram takes 5",
        "mentions: 21 mentions, Instagram takes 20",
    ]


def test_a_hashtag_that_would_end_early_is_a_fault() -> None:
    assert faults(Post(caption="c", hashtags=["c++", "été_2026", "日本語"]), "instagram") == [
        'hashtags: "c++" would end at "+": letters, digits and _ only'
    ]


def test_nobody_may_choose_for_a_person_who_sees_a_direct_post_at_tiktok() -> None:
    post = compose(default_wording("tiktok", total=1), FIELDS)
    assert (post.privacy, post.comments, post.duet, post.stitch) == (None, False, False, False)
    (fault,) = faults(post, "tiktok")
    assert "wants a person to choose who sees it" in fault
    assert faults(post, "tiktok", direct=False) == []  # a draft is finished in the app


def test_a_privacy_that_a_platform_does_not_know_is_a_fault_and_not_another_one() -> None:
    assert faults(Post(caption="c", privacy="private"), "instagram") == [
        "privacy: Instagram has no private posts, only public"
    ]
    assert faults(Post(title="t", privacy="friends"), "youtube") == [
        "privacy: YouTube has no friends posts, only public or unlisted or private"
    ]
    assert compose(default_wording("youtube", total=1), FIELDS).privacy == "public"


def test_a_paid_partnership_is_not_private_at_tiktok() -> None:
    assert faults(Post(caption="c", privacy="private", brand_content=True), "tiktok") == [
        "privacy: a paid partnership cannot be private at TikTok"
    ]


def test_a_cover_lies_within_the_segment() -> None:
    post = Post(title="t", caption="c", cover_ms=3000)
    assert faults(post, "youtube", duration_us=1) == []  # which takes none for Shorts
    assert faults(post, "instagram", duration_us=3_000_001) == []
    assert faults(post, "instagram", duration_us=3_000_000) != []

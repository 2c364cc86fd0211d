"""The memory of uploads: by user, content and model, bounded, with an end."""

from __future__ import annotations

from dataclasses import replace

from service.config import Account, AccountKind, Secret
from service.core.upstreams.mimo_studio import UploadTarget
from service.upstream.uploads import Upload, Uploads

ACCOUNT = Account(name="a", kind=AccountKind.STUDIO, base_url="http://x", user_id=Secret("1"))
UPLOAD = Upload(
    target=UploadTarget(upload_url="u", resource_url="r", object_name="o"), media_id="1", tokens=3
)


def test_an_upload_is_found_by_its_user_content_and_model_only() -> None:
    uploads = Uploads()
    uploads.keep(ACCOUNT, b"1", "m", UPLOAD)
    assert uploads.find(replace(ACCOUNT, name="b"), b"1", "m") is UPLOAD
    assert uploads.find(replace(ACCOUNT, user_id=Secret("2")), b"1", "m") is None
    assert uploads.find(replace(ACCOUNT, user_id=None), b"1", "m") is None
    assert uploads.find(ACCOUNT, b"2", "m") is None
    assert uploads.find(ACCOUNT, b"1", "n") is None


def test_an_upload_is_forgotten_after_its_time() -> None:
    now_s = 100.0
    uploads = Uploads(ttl_s=10, monotonic_s=lambda: now_s)
    uploads.keep(ACCOUNT, b"1", "m", UPLOAD)
    now_s = 109.9
    assert uploads.find(ACCOUNT, b"1", "m") is UPLOAD
    now_s = 110.0
    assert uploads.find(ACCOUNT, b"1", "m") is None


def test_the_longest_unused_upload_goes_first() -> None:
    uploads = Uploads(max_uploads=2)
    uploads.keep(ACCOUNT, b"1", "m", UPLOAD)
    uploads.keep(ACCOUNT, b"2", "m", UPLOAD)
    assert uploads.find(ACCOUNT, b"1", "m")
    uploads.keep(ACCOUNT, b"3", "m", UPLOAD)
    assert [bool(uploads.find(ACCOUNT, name, "m")) for name in (b"1", b"2", b"3")] == [True, False, True]

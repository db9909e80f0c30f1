from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.database_server import TLSFiles
from service.tools import rds_ca
from service.tools.rds_ca import certificate_names, pin, provide
from shared.cli.errors import UserError

RDS = "Amazon RDS us-east-1 Root CA RSA2048 G1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """What stands in for AWS's site: the published file, and its URL."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield folder / "bundle.pem", f"http://127.0.0.1:{server.server_port}/bundle.pem"
    server.shutdown()


def authority(file: Path, name: str) -> bytes:
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", "/dev/null", "-out", file, "-subj", f"/CN={name}"),
        check=True, capture_output=True,
    )  # fmt: skip
    return file.read_bytes()


def locked(tmp_path: Path, content: bytes) -> Path:
    lock = tmp_path / "lock"
    lock.write_text(f"{hashlib.sha256(content).hexdigest()}  bundle.pem\n")
    return lock


def test_the_pinned_bundle_is_fetched_once(tmp_path: Path, site: tuple[Path, str]) -> None:
    published, url = site
    lock, target = locked(tmp_path, authority(published, RDS)), tmp_path / "target.pem"
    for _ in range(2):
        provide(None, lock=lock, cache=tmp_path / "cache", target=target, url=url)
        assert RDS in certificate_names(target)
        published.unlink(missing_ok=True)
        target.unlink()


def test_the_authorities_of_the_platforms_regions_and_of_the_proxy_are_trusted(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    published, url = site
    of_all_regions = b"".join(
        authority(published, f"Amazon RDS {region} Root CA {kind} G1")
        for region in ("us-east-1", "us-west-2", "eu-west-1", "us-east-11")
        for kind in ("RSA2048", "ECC384")
    )
    published.write_bytes(of_all_regions)
    lock, target = locked(tmp_path, of_all_regions), tmp_path / "target.pem"
    provide(None, lock=lock, cache=tmp_path / "cache", target=target, url=url)
    assert sorted(certificate_names(target)) == [
        "Amazon RDS us-east-1 Root CA ECC384 G1",
        "Amazon RDS us-east-1 Root CA RSA2048 G1",
        "Amazon RDS us-west-2 Root CA ECC384 G1",
        "Amazon RDS us-west-2 Root CA RSA2048 G1",
        *(f"Amazon Root CA {number}" for number in range(1, 5)),
    ]


def test_another_bundle_than_the_pinned_one_is_refused(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    published, url = site
    authority(published, RDS)
    lock, target = locked(tmp_path, b"another"), tmp_path / "target.pem"
    with pytest.raises(UserError, match=r"not the pinned one.*make lock-rds-ca"):
        provide(None, lock=lock, cache=tmp_path / "cache", target=target, url=url)
    assert not target.exists()


def test_a_bundle_that_cannot_be_fetched_is_one_line_that_says_what_to_do(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    with pytest.raises(UserError, match=r"could not be fetched.*RDS_CA_BUNDLE=path"):
        provide(
            None,
            lock=locked(tmp_path, b""),
            cache=tmp_path / "cache",
            target=tmp_path / "target.pem",
            url=site[1],
        )


def test_a_named_file_takes_the_place_of_the_pinned_one(tmp_path: Path, tls: TLSFiles) -> None:
    target = tmp_path / "target.pem"
    arguments = {"lock": tmp_path / "none", "cache": tmp_path, "target": target}
    provide(str(tls.ca), **arguments)
    assert target.read_bytes() == tls.ca.read_bytes()
    for wrong in ("/nonexistent.pem", __file__):
        with pytest.raises(UserError, match=f"RDS_CA_BUNDLE {wrong}: there is no such file"):
            provide(wrong, **arguments)


def test_pinning_takes_what_is_published_if_it_is_amazons(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    published, url = site
    lock = tmp_path / "lock"
    lock.write_text("")
    with pytest.raises(UserError, match="does not begin with a SHA-256"):
        provide(None, lock=lock, cache=tmp_path, target=tmp_path / "target.pem", url=url)
    authority(published, "Someone Else")
    with pytest.raises(UserError, match="has other authorities than those of Amazon RDS"):
        pin(lock=lock, cache=tmp_path, url=url)
    authority(published, RDS)
    assert pin(lock=lock, cache=tmp_path, url=url) == [RDS]
    provide(None, lock=lock, cache=tmp_path, target=tmp_path / "target.pem", url=url)


def test_the_committed_pin_can_be_read() -> None:
    assert len(rds_ca._pinned(Path(rds_ca.__file__).parents[1] / "rds-ca.sha256")) == 64


def packages(folder: Path) -> list[Path]:
    """What `sam build` wrote: two functions that use the database, and one that does not."""
    using = [folder / name / "trading" for name in ("TradeFunction", "ArchiveFunction")]
    for package in (*using, folder / "SmokeCheckFunction" / "release"):
        package.mkdir(parents=True)
    return using


def test_each_package_that_uses_the_database_gets_the_authorities(
    tmp_path: Path, tls: TLSFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    using = packages(tmp_path)
    monkeypatch.setenv("RDS_CA_BUNDLE", str(tls.ca))
    rds_ca.main(["provide", str(tmp_path)])
    assert set(tmp_path.rglob("rds-ca.pem")) == {package / "rds-ca.pem" for package in using}
    assert {(each / "rds-ca.pem").read_bytes() for each in using} == {tls.ca.read_bytes()}


def test_a_build_without_network_is_warned_of_and_has_no_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in packages(tmp_path):
        (package / "rds-ca.pem").write_text("that of another database")
    (tmp_path / "rds-ca.sha256").write_text("0" * 64)
    monkeypatch.setattr(rds_ca, "_FOLDER", tmp_path)
    monkeypatch.setattr(rds_ca, "_fetch", unreachable)
    monkeypatch.delenv("RDS_CA_BUNDLE", raising=False)
    rds_ca.main(["provide", str(tmp_path)])
    assert "warning: no way there. `make deploy-service` refuses this build" in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.rglob("rds-ca.pem"))


def unreachable(_url: str) -> bytes:
    raise rds_ca.BundleUnreachable("no way there")

"""On every server: only the site's own pages open a socket, whatever else stands in ``Origin``."""

import pytest

from live.doors import every_server, knock, serve

pytestmark = pytest.mark.live

# The site is http://example.com; https://*.trusted.test is trusted.
RIGHT = [
    b"http://example.com",
    b"http://example.com:80",
    b"HTTP://Example.COM",
    b"https://app.trusted.test",
]
WRONG = {
    "another scheme": [b"https://example.com"],
    "no web page": [b"ftp://example.com"],
    "another port": [b"http://example.com:8443"],
    "a subdomain": [b"http://www.example.com"],
    "another site": [b"http://evil.test"],
    "a longer name": [b"http://example.com.evil.test"],
    "a name that ends like it": [b"http://evilexample.com"],
    "trusted, another scheme": [b"http://app.trusted.test"],
    "trusted, another port": [b"https://app.trusted.test:8443"],
    "none": [],
    "empty": [b""],
    "null": [b"null"],
    "twice": [b"http://example.com", b"http://example.com"],
    "a wrong one before": [b"http://evil.test", b"http://example.com"],
    "a wrong one after": [b"http://example.com", b"http://evil.test"],
    "two in one": [b"http://example.com, http://evil.test"],
    "half a bracket": [b"http://["],
    "a port too high": [b"http://example.com:99999"],
    "a port that is none": [b"http://example.com:x"],
    "a user": [b"http://user@example.com"],
    "a path": [b"http://example.com/path"],
    "a control character": [b"http://exam\x01ple.com"],
    "a tab": [b"http://example.com\thttp://evil.test"],
    "not ASCII": [b"http://ex\xe4mple.com"],
    "not UTF-8": [b"http://example.com\xff\xfe"],
    "no scheme": [b"example.com"],
    "very long": [b"http://" + b"a." * 2000 + b"com"],
}


def lines(values):
    return [b"Origin: " + value for value in values]


@every_server
async def test_no_wrong_origin_comes_in_and_none_makes_trouble(name, tmp_path):
    async with serve(name, tmp_path) as server:
        answers = {}
        for variant, values in (*WRONG.items(), *[("another site", WRONG["another site"])] * 20):
            answers[variant] = await knock(server.port, "/ours/", *lines(values))
        right = [(await knock(server.port, "/ours/", *lines([value]))).status for value in RIGHT]
        log = server.log_text()

    statuses = {variant: answer.status for variant, answer in answers.items()}
    # Some a server refuses itself: with 400, by hanging up, or by saying nothing.
    assert set(statuses.values()) <= {403, 400, None}, statuses
    assert {variant for variant, status in statuses.items() if status == 403} >= {
        "another scheme", "another port", "a subdomain", "another site", "a longer name", "none",
        "trusted, another scheme",
    }  # fmt: skip
    assert right == [101] * len(RIGHT)
    assert "Traceback" not in log
    told = [line for line in log.splitlines() if " origin.refused " in line]
    assert 1 <= len(told) <= 4
    assert not any("evil" in line for line in told)


@every_server
async def test_a_name_of_somebody_elses_that_leads_here_is_not_the_site(name, tmp_path):
    evil = b"evil.test"
    async with serve(name, tmp_path) as server:
        origin = b"Origin: http://evil.test"
        answers = [
            await knock(server.port, "/ours/", origin, host=evil),
            await knock(server.port, "/ours/", origin, b"X-Forwarded-Host: evil.test"),
            await knock(server.port, "/ours/", origin, b"Host: evil.test"),
            await knock(server.port, "/ours/", b"Origin: http://example.com", host=evil),
        ]
        log = server.log_text()

    assert {answer.status for answer in answers} <= {403, 400, None}
    assert answers[0].status == 403
    assert "Traceback" not in log

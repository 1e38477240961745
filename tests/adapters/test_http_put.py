"""A PUT is sent once and its answer never overrated."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.cluster.http import HttpClient, PutResult, Reply, put_answer
from tests.adapters.recorded import RELEASES, YARN, flink_answer, http_answer
from tests.adapters.stub import (
    CLOSE,
    CUT,
    DRIP_HEAD,
    EMPTY,
    HANG,
    Answer,
    Stub,
    drip,
    errors,
    html,
    json_of,
    redirect,
)

PATH = "/proxy/application_1_0001/jobs/854d/resource-requirements"
BODY = {"v1": {"parallelism": {"lowerBound": 1, "upperBound": 4}}}

OUTCOMES = {
    "accepted": (json_of({}), PutResult.ACCEPTED),
    "rejected": (errors("RestHandlerException: no\n\tat x.y(Z.java:1)", status=400), PutResult.REJECTED),
    "another update under way": (errors("Another update is in progress.", status=409), PutResult.REJECTED),
    "unknown job": (errors("x", "a.b.FlinkJobNotFoundException: c", status=500), PutResult.REJECTED),
    "not running": (redirect("http://rm:8088/cluster/app/application_1_0001"), PutResult.NOT_SENT),
    "unknown application": (html("<h1>could not be found in RM</h1>", 404), PutResult.NOT_SENT),
    "no such method here": (html("<h1>Error 405</h1>", 405), PutResult.NOT_SENT),
    "not known to the proxy": (Answer(status=401).with_headers(WWW_Authenticate="Negotiate"), PutResult.NOT_SENT),
    "not allowed by the proxy": (json_of({"message": "Forbidden"}, 403), PutResult.NOT_SENT),
    "too many requests": (json_of({"message": "slow down"}, 429).with_headers(Retry_After="9"), PutResult.NOT_SENT),
    "warning page": (html("<h1>The following page may not be safe!</h1>"), PutResult.NOT_SENT),
    "another page": (html("<h1>Apache Flink Web Dashboard</h1>"), PutResult.UNCERTAIN),
    "not understood": (errors("Internal server error.", "x", status=500), PutResult.UNCERTAIN),
    "leader election": (errors("Service temporarily unavailable", status=503), PutResult.UNCERTAIN),
    "empty 500": (Answer(status=500, headers=()), PutResult.UNCERTAIN),
    "empty 200": (EMPTY, PutResult.UNCERTAIN),
    "no byte": (HANG, PutResult.UNCERTAIN),
    "dripping headers": (DRIP_HEAD, PutResult.UNCERTAIN),
    "dripping": (drip({}), PutResult.UNCERTAIN),
    "closed": (CLOSE, PutResult.UNCERTAIN),
    "cut": (CUT, PutResult.UNCERTAIN),
}


@pytest.mark.parametrize(("answer", "result"), OUTCOMES.values(), ids=OUTCOMES)
def test_each_outcome_is_named_and_sent_once(stub: Stub, http: HttpClient, answer: Answer, result: PutResult) -> None:
    """Whatever comes back, the PUT went out once, and only certainty is called certain."""
    stub.answer(PATH, answer, method="PUT")
    put = http.put_json(stub.url + PATH, BODY, timeout_s=0.3)
    assert put.result is result
    assert stub.count(PATH, "PUT") == len(stub.calls) == 1
    assert (put.message == "") is (result is PutResult.ACCEPTED)


def test_nothing_listening_means_not_sent(http: HttpClient) -> None:
    """Without a connection nothing can have been carried out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    put = http.put_json(f"http://127.0.0.1:{port}{PATH}", BODY)
    assert (put.result, put.status) == (PutResult.NOT_SENT, None)


def test_a_held_back_put_is_not_sent(stub: Stub, http: HttpClient) -> None:
    """A PUT that finds two requests on their way to its application says that it did not go."""
    gate = http.gate("application_1_0001")
    assert gate.enter(0)
    assert gate.enter(0)
    put = http.put_json(stub.url + PATH, BODY, gate, timeout_s=0.05)
    assert put.result is PutResult.NOT_SENT
    assert stub.calls == []


def test_an_objection_on_the_open_connection_keeps_a_put_from_being_sent(stub: Stub, http: HttpClient) -> None:
    """The last question is asked when nothing but the sending is left; its answer is the message, or the PUT goes."""
    stub.answer(PATH, json_of({}), method="PUT")
    asked: list[int] = []

    def objection() -> str | None:
        asked.append(len(stub.calls))
        return "not mine to send" if len(asked) == 1 else None

    put = http.put_json(stub.url + PATH, BODY, objection=objection)
    assert (put.result, put.message) == (PutResult.WITHDRAWN, "not mine to send")
    assert stub.calls == []
    assert http.traffic().connections == {f"127.0.0.1:{stub.port}": 1}
    assert http.put_json(stub.url + PATH, BODY, objection=objection).result is PutResult.ACCEPTED
    assert asked == [0, 0]
    assert stub.count(PATH, "PUT") == 1


def test_a_put_has_a_connection_of_its_own(stub: Stub, http: HttpClient) -> None:
    """No PUT rides on a connection that may have idled, and it leaves none open."""
    stub.otherwise(lambda _: json_of({}))
    gate = http.gate("application_1_0001")
    http.get_json(stub.url + "/a", gate)
    http.put_json(stub.url + PATH, BODY, gate)
    http.get_json(stub.url + "/a", gate)
    http.put_json(stub.url + PATH, BODY, gate)
    assert [call.connection for call in stub.calls] == [1, 2, 1, 3]
    assert http.traffic().connections == {f"127.0.0.1:{stub.port}": 3}


def test_the_body_survives_the_proxy(stub: Stub, http: HttpClient) -> None:
    """The body is a line of ASCII under a JSON content type: the proxy re-encodes lines and eats forms."""
    stub.answer(PATH, json_of({}), method="PUT")
    http.put_json(stub.url + PATH, BODY | {"ü\n": 1})
    (call,) = stub.calls
    assert call.body.isascii()
    assert b"\n" not in call.body
    assert b" " not in call.body
    assert json.loads(call.body) == BODY | {"ü\n": 1}
    assert call.header("Content-Type") == "application/json"
    assert call.header("Content-Length") == str(len(call.body))


def test_redirects_are_not_followed(stub: Stub, http: HttpClient) -> None:
    """A redirected PUT would come back as a page with 200 and look like success."""
    stub.answer(PATH, redirect(stub.url + "/cluster/app"), method="PUT")
    stub.otherwise(lambda _: json_of({}))
    assert http.put_json(stub.url + PATH, BODY).result is PutResult.NOT_SENT
    assert len(stub.calls) == 1


REJECTIONS = {
    "put_above_maxpar": "The newly requested parallelism 121 for the job vertex",
    "put_lower_gt_upper": "is higher than the upper bound",
    "put_missing_vertex": "The request is incomplete, missing job vertex",
    "put_unknown_vertex": "was not found in the JobGraph",
    "put_upper_zero": "must be greater than zero",
    "put_empty": "Request body does not specify resource requirements",
    "put_notjson": "Request did not match expected format",
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("name", "text"), REJECTIONS.items(), ids=REJECTIONS)
def test_rejections_of_every_release_carry_flinks_words(release: str, name: str, text: str) -> None:
    """A rejected PUT says why in Flink's words, without its stack trace."""
    answer = flink_answer(release, name)
    put = put_answer("http://h/x", Reply(answer.status, dict(answer.headers), answer.body))
    assert (put.result, put.status) == (PutResult.REJECTED, 400)
    assert text in put.message
    assert "\tat" not in put.message
    assert "RestHandlerException" not in put.message


@pytest.mark.parametrize("release", RELEASES)
def test_accepted_and_unknown_in_every_release(release: str) -> None:
    """200 with an empty object is acceptance, a 500 for an unknown job is not."""
    for name, result in {
        "put_ok2": PutResult.ACCEPTED,
        "put_same": PutResult.ACCEPTED,
        "put_cancelled": PutResult.REJECTED,
    }.items():
        answer = flink_answer(release, name)
        assert put_answer("http://h/x", Reply(answer.status, dict(answer.headers), answer.body)).result is result


RECORDED = {
    "put_ok": PutResult.ACCEPTED,
    "put_ok_charset": PutResult.ACCEPTED,
    "put_text_plain": PutResult.ACCEPTED,
    "put_no_content_type": PutResult.ACCEPTED,
    "put_direct_to_am": PutResult.ACCEPTED,
    "direct_form_to_am": PutResult.ACCEPTED,
    "amkill_ha_06_put_200": PutResult.ACCEPTED,
    "put_form": PutResult.REJECTED,
    "put_above_max_parallelism": PutResult.REJECTED,
    "put_bad_jid": PutResult.REJECTED,
    "put_bad_json": PutResult.REJECTED,
    "put_empty_body": PutResult.REJECTED,
    "put_empty_object": PutResult.REJECTED,
    "put_lower_above_upper": PutResult.REJECTED,
    "put_partial_one_vertex": PutResult.REJECTED,
    "put_unknown_job": PutResult.REJECTED,
    "put_unknown_vertex": PutResult.REJECTED,
    "put_zero": PutResult.REJECTED,
    "amkill_noha_06_put_500": PutResult.REJECTED,
    "amkill_ha_04_put_302": PutResult.NOT_SENT,
    "amkill_noha_04_put_302": PutResult.NOT_SENT,
    "amkill_noha_second_04_put_302": PutResult.NOT_SENT,
    "proxy_killed_app_put": PutResult.NOT_SENT,
    "amkill_ha_02_put_500": PutResult.UNCERTAIN,
    "amkill_noha_02_put_500": PutResult.UNCERTAIN,
    "amkill_noha_second_02_put_500": PutResult.UNCERTAIN,
}


@pytest.mark.parametrize(("name", "result"), RECORDED.items(), ids=RECORDED)
def test_recorded_answers_through_the_proxy(stub: Stub, http: HttpClient, name: str, result: PutResult) -> None:
    """What the proxy said to a PUT, in life, after a kill and after the end, is judged right."""
    stub.answer(PATH, http_answer(name), method="PUT")
    assert http.put_json(stub.url + PATH, BODY).result is result


def test_every_recorded_put_is_judged() -> None:
    """No recorded answer to a PUT is left out of the table above."""
    assert {path.stem for path in YARN.glob("*.http") if "put" in path.stem} <= RECORDED.keys()


@given(
    status=st.sampled_from([200, 201, 202, 204, 301, 302, 307, 308, 400, 404, 408, 409, 429, 500, 502, 503, 504]),
    body=st.sampled_from([b"", b"{}", b"[]", b"<html>x</html>", b'{"errors":["x"]}', b'{"errors":', b"\xff"]),
    content_type=st.sampled_from(["application/json", "text/html", "text/plain", ""]),
    extra=st.sampled_from([(), (("Location", "/elsewhere"),), (("Connection", "close"),), (("Retry-After", "0"),)]),
    send=st.sampled_from(["whole", "whole", "close", "cut"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_put_is_sent_exactly_once_whatever_happens(
    stub: Stub,
    http: HttpClient,
    status: int,
    body: bytes,
    content_type: str,
    extra: tuple[tuple[str, str], ...],
    send: str,
) -> None:
    """No status, header, body or loss makes a PUT go out twice, and only 200 with JSON is success."""
    before = len(stub.calls)
    headers = (("Content-Type", content_type), *extra)
    stub.answer(PATH, Answer(status=status, body=body, headers=headers, send=send), method="PUT")
    put = http.put_json(stub.url + PATH, BODY, timeout_s=5)
    assert len(stub.calls) == before + 1
    if put.result is PutResult.ACCEPTED:
        assert (status, content_type, send) == (200, "application/json", "whole")
        assert body

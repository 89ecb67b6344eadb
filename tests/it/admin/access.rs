//! Who may watch, who may act, and which header fields every answer carries.

use super::world::{OPERATOR, VIEWER, World, by_operator, from_peer};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use reconciled::http::listener::Peer;

const RULING: &str = r#"{"ruling": "retry", "note": "shop is back"}"#;
const RULINGS: &str = "/api/v1/checkouts/ck_1/rulings";

fn get(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let request = fields
        .iter()
        .fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(Body::empty()).unwrap()
}

fn tcp(address: &str) -> Peer {
    Peer::Tcp(address.parse().unwrap())
}

#[tokio::test]
async fn without_tokens_only_this_machine_reads_and_nobody_acts() {
    let world = World {
        has_tokens: false,
        ..World::default()
    };
    let running = world.start();
    let local = tcp("127.0.0.1:5000");
    let host = ("host", "127.0.0.1:8481");
    for (what, peer, fields, status) in [
        ("loopback", Some(local), vec![host], 200),
        (
            "mapped loopback",
            Some(tcp("[::ffff:127.0.0.1]:5")),
            vec![("host", "localhost")],
            200,
        ),
        (
            "loopback v6",
            Some(tcp("[::1]:5000")),
            vec![("host", "[::1]:8481")],
            200,
        ),
        ("unix socket", Some(Peer::Unix), vec![], 200),
        ("from afar", Some(tcp("192.0.2.7:5000")), vec![host], 401),
        ("unknown peer", None, vec![host], 401),
        (
            "a name that resolves here",
            Some(local),
            vec![("host", "evil.example")],
            401,
        ),
        ("no host", Some(local), vec![], 401),
        (
            "through a proxy",
            Some(local),
            vec![host, ("x-forwarded-for", "192.0.2.7")],
            401,
        ),
        (
            "a proxy on the socket",
            Some(Peer::Unix),
            vec![("forwarded", "for=192.0.2.7")],
            401,
        ),
    ] {
        let mut request = get("/status", &fields);
        if let Some(peer) = peer {
            request = from_peer(request, peer);
        }
        let answer = running.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
    }
    for path in [
        RULINGS,
        "/api/v1/sweeps",
        "/api/v1/shops/klompen/resume",
        "/api/v1/shops/klompen/recheck",
    ] {
        let answer = running
            .send(from_peer(by_operator(path, RULING), local))
            .await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.code(), "rulings_need_token");
    }
    assert_eq!(running.asked(), []);
}

#[tokio::test]
async fn with_tokens_only_their_holders_are_let_in() {
    let running = World::default().start();
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for (what, authorization, status) in [
        ("no token", None, 401),
        ("viewer", Some(format!("Bearer {VIEWER}")), 200),
        ("operator", Some(format!("Bearer {OPERATOR}")), 200),
        (
            "scheme in lower case",
            Some(format!("bearer {VIEWER}")),
            200,
        ),
        (
            "as a browser's password",
            Some(basic(&format!("me:{VIEWER}"))),
            200,
        ),
        (
            "as a browser's name",
            Some(basic(&format!("{VIEWER}:"))),
            401,
        ),
        (
            "a prefix",
            Some(format!("Bearer {}", VIEWER.trim_end_matches('s'))),
            401,
        ),
        ("longer", Some(format!("Bearer {VIEWER}x")), 401),
        ("empty", Some("Bearer ".to_owned()), 401),
        ("another scheme", Some(format!("Digest {VIEWER}")), 401),
        ("no base64", Some("Basic %%%".to_owned()), 401),
    ] {
        let fields: Vec<(&str, &str)> = authorization
            .as_deref()
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        let request = from_peer(get("/status", &fields), tcp("192.0.2.7:1"));
        let answer = running.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        if status == 401 {
            let asked: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            assert_eq!(asked[0], "Bearer", "{what}");
            assert!(asked[1].to_str().unwrap().starts_with("Basic realm="));
            assert_eq!(answer.code(), "unauthorized");
        }
    }
    let local = from_peer(get("/status", &[("host", "localhost")]), tcp("127.0.0.1:1"));
    assert_eq!(
        running.send(local).await.status,
        401,
        "loopback is no token"
    );
    let mut twice = get("/status", &[("authorization", "Bearer x")]);
    let right = format!("Bearer {VIEWER}").parse().unwrap();
    twice.headers_mut().append("authorization", right);
    assert_eq!(running.send(twice).await.status, 401, "two tokens are none");
}

#[tokio::test]
async fn acting_takes_an_operator_a_json_body_and_no_foreign_page() {
    let running = World::default().start();
    for (what, change, status, code) in [
        (
            "a viewer",
            ("authorization", format!("Bearer {VIEWER}")),
            403,
            "forbidden",
        ),
        (
            "a stranger",
            ("authorization", "Bearer x".to_owned()),
            401,
            "unauthorized",
        ),
        (
            "a form",
            ("content-type", "text/plain".to_owned()),
            415,
            "unsupported_media_type",
        ),
        (
            "a foreign page",
            ("origin", "https://evil.example".to_owned()),
            403,
            "foreign_origin",
        ),
        (
            "a sandboxed page",
            ("origin", "null".to_owned()),
            403,
            "foreign_origin",
        ),
        (
            "a neighbour",
            ("origin", "http://127.0.0.1:80".to_owned()),
            403,
            "foreign_origin",
        ),
    ] {
        let mut request = by_operator(RULINGS, RULING);
        request
            .headers_mut()
            .insert(change.0, change.1.parse().unwrap());
        let answer = running.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{what}"
        );
    }
    assert_eq!(running.asked(), []);
    let mut own = by_operator(RULINGS, RULING);
    let origin = "http://127.0.0.1:8481".parse().unwrap();
    own.headers_mut().insert("origin", origin);
    own.headers_mut().insert(
        "content-type",
        "application/json; charset=utf-8".parse().unwrap(),
    );
    assert_eq!(running.send(own).await.status, 200);
    assert_eq!(running.asked().len(), 1);
}

#[tokio::test]
async fn every_answer_carries_the_guarding_fields() {
    let running = World::default().start();
    let stranger = get("/status", &[]);
    let lost = get(
        "/nowhere",
        &[("authorization", "Bearer operator-token-of-the-tests")],
    );
    let fine = get(
        "/status",
        &[("authorization", "Bearer operator-token-of-the-tests")],
    );
    let probe = get("/healthz", &[]);
    let mut wrong = by_operator("/status", "{}");
    *wrong.method_mut() = http::Method::DELETE;
    for (request, status) in [
        (stranger, 401),
        (lost, 404),
        (fine, 200),
        (probe, 200),
        (wrong, 405),
    ] {
        let answer = running.send(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn probes_need_no_token_and_tell_strangers_no_details() {
    let mut world = World::default();
    world.stock.is_down = true;
    let running = world.start();
    let health = running.send(get("/healthz", &[])).await;
    assert_eq!(
        (health.status.as_u16(), health.body.as_str()),
        (200, "ok\n")
    );
    let ready = running.send(get("/readyz", &[])).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["failing"], serde_json::json!(["store"]));
    assert!(!ready.body.contains("disk full"));
    let told = running.get("/readyz", "*/*").await;
    assert!(told.body.contains("disk full"));
}

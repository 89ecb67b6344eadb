//! The HTTP client over real sockets: what it sends, and what it says of every way to fail.
//!
//! The other side is a bare socket, so that it can misbehave in any way.

mod books;
mod certificate;
mod site;

use futures_util::FutureExt;
use reconciled::outbound::{CallLimits, Outbound, Settings};
use reconciled::wire::{CallError, Headers, Method, Reply, Request};
use site::{Site, answer, read_request};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: &str = r#"{"type":"order.lookup"}"#;
const LIMIT: usize = 1_000;

fn client() -> Outbound {
    Outbound::new(Settings::default()).unwrap()
}

fn post(url: String) -> Request {
    Request {
        method: Method::Post,
        url,
        headers: Headers::new()
            .with("content-type", "application/json")
            .with("webhook-id", "lookup:c1:1"),
        body: BODY.as_bytes().to_vec(),
    }
}

fn within(millis: u64) -> CallLimits {
    CallLimits {
        deadline: Duration::from_millis(millis),
        body_bytes_max: LIMIT,
    }
}

/// Enough for any call that is not meant to time out.
fn ample() -> CallLimits {
    within(30_000)
}

/// What a call brings while the site behaves in this way on its first connection.
async fn met_with<F, R>(limits: CallLimits, behave: F) -> (Reply, R)
where
    F: AsyncFnOnce(TcpStream) -> R,
{
    let site = Site::open().await;
    let client = client();
    tokio::join!(client.call(post(site.url("/reconciled")), limits), async {
        behave(site.accept().await).await
    })
}

fn unclear(word: &'static str) -> Reply {
    Err(CallError::Unclear(word))
}

fn not_sent(word: &'static str) -> Reply {
    Err(CallError::NotSent(word))
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built_and_its_answer_comes_back_whole() {
    let (reply, seen) = met_with(ample(), async |mut stream: TcpStream| {
        let seen = read_request(&mut stream).await.unwrap();
        let text = answer(
            "200 OK",
            &["retry-after: 5", "set-cookie: a", "set-cookie: b"],
            "{}",
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        seen
    })
    .await;
    let response = reply.unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, &b"{}"[..])
    );
    assert_eq!(response.headers.single("retry-after"), Some("5"));
    assert_eq!(response.headers.all("set-cookie").count(), 2);
    assert!(
        seen.head.starts_with("POST /reconciled HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.field("content-type"), Some("application/json"));
    assert_eq!(seen.field("webhook-id"), Some("lookup:c1:1"));
    assert_eq!(seen.field("content-length"), Some("23"));
    assert!(seen.field("user-agent").unwrap().starts_with("reconciled/"));
    assert_eq!(seen.body, BODY);
}

#[tokio::test]
async fn compression_is_neither_asked_for_nor_undone() {
    let packed = "\u{1f}packed";
    let (reply, seen) = met_with(ample(), async |mut stream: TcpStream| {
        let seen = read_request(&mut stream).await.unwrap();
        let text = answer("200 OK", &["content-encoding: gzip"], packed);
        stream.write_all(text.as_bytes()).await.unwrap();
        seen
    })
    .await;
    assert_eq!(seen.field("accept-encoding"), None);
    assert_eq!(reply.unwrap().body, packed.as_bytes());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Site::open().await;
    let location = format!("location: {}", elsewhere.url("/login"));
    let (reply, ()) = met_with(ample(), async |mut stream: TcpStream| {
        read_request(&mut stream).await.unwrap();
        let text = answer("307 Temporary Redirect", &[&location], "");
        stream.write_all(text.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(reply.unwrap().status, 307);
    assert!(elsewhere.accept().now_or_never().is_none());
}

#[tokio::test]
async fn s066_a_refused_connection_was_certainly_not_sent() {
    let url = Site::open().await.url("/");
    let reply = client().call(post(url), ample()).await;
    assert_eq!(reply, not_sent("connection_refused"));
}

#[tokio::test]
async fn a_name_that_nobody_has_was_certainly_not_sent() {
    let url = "https://shop.invalid/reconciled".to_owned();
    let reply = client().call(post(url), ample()).await;
    // Without any name server the search for the name itself may run out of time.
    assert!(
        [not_sent("dns"), not_sent("connect_timeout")].contains(&reply),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_request_that_must_not_or_cannot_leave_is_not_sent() {
    for (url, limits, word) in [
        ("http://klompen.example/", ample(), "not_https"),
        ("ftp://127.0.0.1/", ample(), "not_https"),
        ("klompen", ample(), "bad_request"),
        ("https://klompen.example/", within(0), "no_time_left"),
    ] {
        let reply = client().call(post(url.to_owned()), limits).await;
        assert_eq!(reply, not_sent(word), "{url}");
    }
    let mut request = post("http://127.0.0.1:9/".to_owned());
    request.headers.push("x-broken", "a\r\nb: c");
    assert_eq!(
        client().call(request, ample()).await,
        not_sent("bad_request")
    );
}

#[tokio::test]
async fn a_handshake_that_fails_was_certainly_not_sent() {
    for (said, word) in [("HTTP/1.1 400 Bad Request\r\n\r\n", "tls"), ("", "connect")] {
        let site = Site::open().await;
        let client = client();
        let (reply, _held) = tokio::join!(client.call(post(site.tls_url("/")), ample()), async {
            let mut stream = site.accept().await;
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            assert_eq!(hello[0], 0x16, "a TLS handshake record comes first");
            stream.write_all(said.as_bytes()).await.unwrap();
            // Closed when nothing was said, else kept open, so that what was said arrives.
            (!said.is_empty()).then_some(stream)
        });
        assert_eq!(reply, not_sent(word), "{said:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_said() {
    let stranger = certificate::Stranger::listen();
    let reply = client().call(post(stranger.url()), ample()).await;
    assert_eq!(reply, not_sent("tls"));
    assert_eq!(stranger.heard(), Vec::<u8>::new());
}

#[tokio::test]
async fn a_handshake_without_an_answer_was_certainly_not_sent() {
    let site = Site::open().await;
    let client = Outbound::new(Settings {
        connect_timeout: Duration::from_millis(100),
        ..Settings::default()
    })
    .unwrap();
    let (reply, _held) = tokio::join!(client.call(post(site.tls_url("/")), ample()), site.accept());
    assert_eq!(reply, not_sent("connect_timeout"));
}

#[tokio::test]
async fn a_connection_closed_before_anything_was_read_is_unclear() {
    let (reply, ()) = met_with(ample(), async |stream: TcpStream| drop(stream)).await;
    assert_eq!(reply, unclear("reset"));
}

#[tokio::test]
async fn s064_a_request_that_was_read_and_never_answered_is_unclear() {
    let (reply, seen) = met_with(ample(), async |mut stream: TcpStream| {
        read_request(&mut stream).await
    })
    .await;
    assert_eq!(reply, unclear("reset"));
    assert_eq!(seen.unwrap().body, BODY, "it had arrived");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unclear() {
    let heads = [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
    ];
    for sent in heads {
        let (reply, _held) = met_with(within(300), async |mut stream: TcpStream| {
            read_request(&mut stream).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream
        })
        .await;
        assert_eq!(reply, unclear("timeout"), "{sent:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_not_http_is_unclear() {
    for (sent, word) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "reset"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
            "reset",
        ),
        ("HTTP/1.1 200 OK\r\n", "reset"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_http"),
        ("<html>come back later</html>\r\n\r\n", "bad_http"),
        ("HTTP/1.1 abc OK\r\n\r\n", "bad_http"),
    ] {
        let (reply, ()) = met_with(ample(), async |mut stream: TcpStream| {
            read_request(&mut stream).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
        })
        .await;
        assert_eq!(reply, unclear(word), "{sent:?}");
    }
}

#[tokio::test]
async fn an_answer_is_taken_up_to_the_limit_and_not_a_byte_beyond() {
    let chunked = |size: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(size)
        )
    };
    let plain = |size: usize| answer("200 OK", &[], &"x".repeat(size));
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n".to_owned();
    for (sent, fits) in [
        (plain(LIMIT), true),
        (chunked(LIMIT), true),
        (plain(LIMIT + 1), false),
        (chunked(LIMIT + 1), false),
        (announced, false),
    ] {
        let (reply, _held) = met_with(ample(), async |mut stream: TcpStream| {
            read_request(&mut stream).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream
        })
        .await;
        match fits {
            true => assert_eq!(reply.unwrap().body.len(), LIMIT),
            false => assert_eq!(reply, unclear("answer_too_large")),
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_the_second_request_is_unclear_and_not_retried() {
    let site = Site::open().await;
    let client = client();
    let (first, mut stream) = tokio::join!(client.call(post(site.url("/1")), ample()), async {
        let mut stream = site.accept().await;
        read_request(&mut stream).await.unwrap();
        let text = answer("200 OK", &[], "{}");
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    });
    assert_eq!(first.unwrap().status, 200);
    let (second, seen) = tokio::join!(client.call(post(site.url("/2")), ample()), async {
        let seen = read_request(&mut stream).await;
        drop(stream);
        seen
    });
    assert!(
        seen.unwrap().head.starts_with("POST /2 "),
        "the connection was kept"
    );
    assert_eq!(second, unclear("reset"));
    assert!(site.accept().now_or_never().is_none(), "no second copy");
}

#[tokio::test]
async fn no_outcome_claims_more_than_the_other_side_saw() {
    books::compare(&client(), 600, 12).await;
}

//! Bad HTTP, row by row, over real sockets: each is refused or closed, and the site stays well.
//!
//! Knows the listener only by what it answers.

use crate::support::adapters::{FIELD, SECRET, sign};
use crate::support::site::{NOW_S, Site};
use crate::support::talk::{NEVER, ask, get, post, read_one, read_to_close, say, say_on};
use reconciled::core::time::Time;
use reconciled::http::intake::IntakeLimits;
use reconciled::http::listener::{Drained, Limits, Socket, serve};
use reconciled::lifecycle::Lifecycle;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tracing::Level;

const SOON: Duration = Duration::from_millis(200);
const LONG: usize = 32 * 1024 * 1024;
const HEAD: &str = "POST /webhooks/plain_nl HTTP/1.1\r\nHost: localhost\r\n";

fn quick() -> Limits {
    Limits {
        header_read: SOON,
        body_read: SOON,
        ..Limits::default()
    }
}

async fn quick_site() -> Site {
    Site::with(quick(), IntakeLimits::default()).await
}

/// Sends what breaks a rule and expects this status with this code.
async fn expect_refusal(bytes: &[u8], status: u16, code: &str) {
    let site = Site::open().await;
    let answer = ask(site.address, bytes).await;
    assert_eq!((answer.status, answer.problem().as_str()), (status, code));
    site.assert_well().await;
    site.close().await;
}

/// Sends what the parser itself refuses, with a bare status.
async fn expect_bare_refusal(bytes: &[u8], status: u16) {
    let site = Site::open().await;
    let answer = ask(site.address, bytes).await;
    assert_eq!((answer.status, answer.body.as_str()), (status, ""));
    site.assert_well().await;
    site.close().await;
}

#[tokio::test]
async fn the_limits_for_strangers_are_the_documented_ones() {
    let limits = Limits::default();
    assert_eq!(limits.header_read, Duration::from_secs(5));
    assert_eq!(limits.keep_alive_idle, Duration::from_secs(60));
    assert_eq!(limits.body_read, Duration::from_secs(5));
    assert_eq!(limits.request_total, Duration::from_secs(10));
    assert_eq!(limits.drain, Duration::from_secs(10));
    assert_eq!(limits.body_bytes_max, 256 * 1024);
    assert_eq!(limits.connections_max, 512);
}

#[tokio::test]
async fn a_header_sent_half_and_then_silence_is_closed() {
    let site = quick_site().await;
    assert_eq!(say(site.address, b"POST /webhooks/plain_nl HT").await, []);
    site.assert_well().await;
    site.close().await;
}

#[tokio::test]
async fn a_header_that_drips_is_closed_all_the_same() {
    let site = quick_site().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let mut is_closed = false;
    for _ in 0..200 {
        if stream.write_all(b"x").await.is_err() {
            is_closed = true;
            break;
        }
        let mut byte = [0];
        let pause = Duration::from_millis(20);
        if let Ok(ended) = tokio::time::timeout(pause, stream.read(&mut byte)).await {
            assert_eq!(ended.unwrap_or(0), 0);
            is_closed = true;
            break;
        }
    }
    assert!(is_closed, "a head of 200 drops was waited for");
    site.close().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let site = quick_site().await;
    assert_eq!(say(site.address, b"").await, []);
    site.close().await;
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_limit_and_is_closed_at_its_own() {
    let limits = Limits {
        keep_alive_idle: 10 * SOON,
        ..quick()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, 404);
        let mut byte = [0];
        let silence = tokio::time::timeout(2 * SOON, stream.read(&mut byte)).await;
        assert!(silence.is_err(), "closed with the header limit");
    }
    assert_eq!(read_to_close(&mut stream).await, []);
    site.close().await;
}

#[tokio::test]
async fn a_second_header_sent_half_is_closed_with_the_header_limit() {
    let limits = Limits {
        keep_alive_idle: NEVER,
        ..quick()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 404);
    assert_eq!(say_on(&mut stream, b"GET /nowh").await, []);
    site.close().await;
}

#[tokio::test]
async fn a_body_sent_half_is_told_408() {
    let site = quick_site().await;
    let half = format!("{HEAD}Content-Length: 10\r\n\r\nhalf");
    let answer = ask(site.address, half.as_bytes()).await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.problem(), "request_timeout");
    assert_eq!(answer.field("connection"), Some("close"));
    site.assert_well().await;
    site.close().await;
}

#[tokio::test]
async fn ten_gigabytes_announced_are_told_413_before_they_are_sent() {
    let limits = Limits {
        body_read: NEVER,
        request_total: NEVER,
        ..Limits::default()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let announced = format!("{HEAD}Content-Length: 10737418240\r\n\r\n{{}}");
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(announced.as_bytes()).await.unwrap();
    let answer = read_one(&mut stream).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.problem(), "body_too_large");
    site.assert_well().await;
    site.close().await;
}

#[tokio::test]
async fn a_body_that_would_be_refused_is_not_asked_for() {
    let site = Site::open().await;
    for (length, expected) in [(2, 100), (300_000, 413)] {
        let bytes = format!("{HEAD}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, expected);
    }
    site.close().await;
}

#[tokio::test]
async fn a_body_of_300_kb_is_told_413_and_hears_it() {
    expect_refusal(
        &post("/webhooks/plain_nl", &[], &vec![b'x'; 300_000]),
        413,
        "body_too_large",
    )
    .await;
}

#[tokio::test]
async fn who_goes_on_sending_after_413_is_heard_out_instead_of_reset() {
    let site = Site::open().await;
    let announced = format!("{HEAD}Content-Length: 300000\r\n\r\n");
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(announced.as_bytes()).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 413);
    for _ in 0..75 {
        stream.write_all(&[b'x'; 4_000]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut byte = [0];
    assert_eq!(stream.read(&mut byte).await.unwrap(), 0);
    site.close().await;
}

#[tokio::test]
async fn a_chunked_body_of_300_kb_is_told_413() {
    let mut bytes = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..75 {
        bytes.extend_from_slice(b"1000\r\n");
        bytes.extend_from_slice(&[b'x'; 4096]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    expect_refusal(&bytes, 413, "body_too_large").await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let site = Site::open().await;
    assert_eq!(site.deliver(&vec![b'x'; 256 * 1024]).await.status, 200);
    let over = site.deliver(&vec![b'x'; 256 * 1024 + 1]).await;
    assert_eq!(over.status, 413);
    assert_eq!(site.store.deliveries().len(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_header_of_300_kb_is_told_431() {
    let long = "x".repeat(300_000);
    expect_bare_refusal(&get("/", &[("X-Long", &long)]), 431).await;
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_told_431() {
    let long = "x".repeat(1_000_000);
    expect_bare_refusal(&get("/", &[("X-Long", &long)]), 431).await;
}

#[tokio::test]
async fn a_header_just_over_16_kib_is_told_431_with_a_document() {
    let long = "x".repeat(16 * 1024);
    expect_refusal(&get("/", &[("X-Long", &long)]), 431, "head_too_large").await;
}

#[tokio::test]
async fn sixty_five_header_fields_are_told_431_with_a_document() {
    let fields = vec![("X-Many", "1"); 63];
    expect_refusal(&get("/", &fields), 431, "head_too_large").await;
}

#[tokio::test]
async fn sixty_four_header_fields_are_taken() {
    let fields = vec![("X-Many", "1"); 62];
    expect_refusal(&get("/", &fields), 404, "not_found").await;
}

#[tokio::test]
async fn a_hundred_and_one_header_fields_are_told_431() {
    expect_bare_refusal(&get("/", &vec![("X-Many", "1"); 99]), 431).await;
}

#[tokio::test]
async fn an_address_of_70_kb_is_told_431() {
    let path = format!("/{}", "a".repeat(70_000));
    expect_bare_refusal(&get(&path, &[]), 431).await;
}

#[tokio::test]
async fn an_address_of_20_kb_is_told_431_with_a_document() {
    let path = format!("/{}", "a".repeat(20_000));
    expect_refusal(&get(&path, &[]), 431, "head_too_large").await;
}

#[tokio::test]
async fn two_different_content_lengths_are_told_400() {
    let bytes = format!("{HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc");
    expect_bare_refusal(bytes.as_bytes(), 400).await;
}

#[tokio::test]
async fn impossible_content_lengths_are_told_400() {
    for length in ["-1", "100000000000000000000000", "0x10", "2,3", ""] {
        let bytes = format!("{HEAD}Content-Length: {length}\r\n\r\nabc");
        expect_bare_refusal(bytes.as_bytes(), 400).await;
    }
}

#[tokio::test]
async fn unknown_transfer_encodings_are_told_400() {
    for encoding in ["identity", "xchunked", "chunked, gzip"] {
        let bytes = format!("{HEAD}Transfer-Encoding: {encoding}\r\n\r\n0\r\n\r\n");
        expect_bare_refusal(bytes.as_bytes(), 400).await;
    }
}

#[tokio::test]
async fn with_content_length_and_chunked_the_chunks_count_and_the_signature_decides() {
    let site = Site::open().await;
    let signature = sign(SECRET, Time::from_seconds(NOW_S), b"{}");
    let bytes = format!(
        "{HEAD}{FIELD}: {signature}\r\nContent-Length: 999\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    assert_eq!(ask(site.address, bytes.as_bytes()).await.status, 200);
    assert_eq!(site.store.deliveries()[0].body, b"{}");
    site.close().await;
}

#[tokio::test]
async fn no_host_is_told_400() {
    let bytes = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    expect_refusal(bytes, 400, "bad_host").await;
}

#[tokio::test]
async fn two_hosts_are_told_400() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n";
    expect_refusal(bytes, 400, "bad_host").await;
    let bytes = b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    expect_refusal(bytes, 400, "bad_host").await;
}

#[tokio::test]
async fn http_1_0_needs_no_host() {
    expect_refusal(b"GET / HTTP/1.0\r\n\r\n", 404, "not_found").await;
}

#[tokio::test]
async fn bare_line_feeds_are_tolerated() {
    let bytes = b"GET / HTTP/1.1\nHost: a\nConnection: close\n\n";
    expect_refusal(bytes, 404, "not_found").await;
}

#[tokio::test]
async fn malformed_heads_are_told_400() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n",
    ] {
        expect_bare_refusal(head.as_bytes(), 400).await;
    }
}

#[tokio::test]
async fn malformed_chunks_are_told_400() {
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    for body in [extension.as_str(), "zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}xx"] {
        let bytes = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}");
        expect_refusal(bytes.as_bytes(), 400, "body_incomplete").await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_400() {
    let site = Site::open().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let half = format!("{HEAD}Content-Length: 10\r\n\r\nhalf");
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answers = read_to_close(&mut stream).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].status, 400);
    assert_eq!(answers[0].problem(), "body_incomplete");
    site.close().await;
}

#[tokio::test]
async fn the_http_2_preface_is_closed_without_an_answer() {
    let site = Site::open().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(say(site.address, preface).await, []);
    site.assert_well().await;
    site.close().await;
}

#[tokio::test]
async fn trace_and_connect_are_told_405() {
    for request in ["TRACE / HTTP/1.1", "CONNECT a:1 HTTP/1.1"] {
        let site = Site::open().await;
        let bytes = format!("{request}\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = ask(site.address, bytes.as_bytes()).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.problem(), "method_not_allowed");
        assert_eq!(answer.field("allow"), Some("GET, HEAD, POST"));
        site.close().await;
    }
}

#[tokio::test]
async fn an_encoded_body_is_told_415() {
    let site = Site::open().await;
    for encoding in ["gzip", "identity", "br"] {
        let fields = [("Content-Encoding", encoding)];
        let answer = ask(
            site.address,
            &post("/webhooks/plain_nl", &fields, b"\x1f\x8b"),
        )
        .await;
        assert_eq!(answer.status, 415);
        assert_eq!(answer.problem(), "encoded_body");
    }
    site.close().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_get_documents() {
    let site = Site::open().await;
    let answer = ask(site.address, &get("/nowhere", &[])).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (404, "not_found")
    );
    for (path, allowed) in [
        ("/webhooks/plain_nl", "POST"),
        ("/shops/klompen/events", "POST"),
    ] {
        let answer = ask(site.address, &get(path, &[])).await;
        assert_eq!(answer.problem(), "method_not_allowed");
        assert_eq!(answer.field("allow"), Some(allowed));
    }
    let answer = ask(site.address, &post("/shops/klompen/orders/1", &[], b"")).await;
    assert_eq!(answer.problem(), "method_not_allowed");
    assert_eq!(answer.field("allow"), Some("GET,HEAD"));
    let answer = ask(site.address, &get("/shops/klompen/orders/%ff", &[])).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "bad_request")
    );
    site.close().await;
}

#[tokio::test]
async fn no_answer_names_the_program() {
    let site = Site::open().await;
    for request in [get("/", &[]), site.signed(b"{}"), b"x\r\n\r\n".to_vec()] {
        let answer = ask(site.address, &request).await;
        assert_eq!(answer.field("server"), None);
        assert!(!answer.head.to_lowercase().contains("hyper"), "{answer:?}");
    }
    site.close().await;
}

#[tokio::test]
async fn what_strangers_send_is_not_logged_above_warn_and_not_quoted() {
    let site = quick_site().await;
    let marked = [
        get("/MARK", &[("X-MARK", "MARK")]),
        post("/webhooks/MARK", &[], b"MARK"),
        post("/webhooks/plain_nl", &[(FIELD, "t=MARK")], b"MARK"),
        post("/webhooks/plain_nl?MARK", &[(FIELD, "t=1,v1=00")], b"MARK"),
        post("/shops/MARK/events", &[], b"MARK"),
        get(
            "/shops/klompen/orders/MARK",
            &[("Authorization", "Bearer MARK")],
        ),
        b"MARK\0\r\n\r\n".to_vec(),
        format!("{HEAD}Content-Length: 9\r\n\r\nMARK").into_bytes(),
    ];
    for request in &marked {
        let answer = ask(site.address, request).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert!(!answer.head.contains("MARK") && !answer.body.contains("MARK"));
    }
    let own = |line: &String| line.contains("MARK");
    assert_eq!(site.heard.at(Level::ERROR), Vec::<String>::new());
    let quoting: Vec<String> = site.heard.all().into_iter().filter(own).collect();
    assert_eq!(quoting, Vec::<String>::new());
    site.close().await;
}

#[tokio::test]
async fn one_connection_more_than_allowed_waits_for_a_seat() {
    let limits = Limits {
        connections_max: 2,
        header_read: NEVER,
        keep_alive_idle: NEVER,
        ..Limits::default()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let request = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut seated = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, 404);
        seated.push(stream);
    }
    let mut third = TcpStream::connect(site.address).await.unwrap();
    third.write_all(request).await.unwrap();
    let mut byte = [0];
    let waiting = tokio::time::timeout(SOON, third.read(&mut byte)).await;
    assert!(waiting.is_err(), "a third connection was served beside two");
    seated.pop();
    assert_eq!(read_one(&mut third).await.status, 404);
    drop((seated, third));
    site.close().await;
}

#[tokio::test]
async fn when_seats_are_scarce_idle_connections_go_with_the_header_limit() {
    let limits = Limits {
        connections_max: 2,
        header_read: SOON,
        keep_alive_idle: NEVER,
        ..Limits::default()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 404);
    assert_eq!(read_to_close(&mut stream).await, []);
    site.close().await;
}

/// A listener with one seat and one long answer.
async fn long_answer(limits: Limits) -> (SocketAddr, Lifecycle, JoinHandle<Drained>) {
    let lifecycle = Lifecycle::new();
    let socket = Socket::bind_tcp("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = socket.address().unwrap();
    let long = "x".repeat(LONG);
    let routes = axum::Router::new()
        .route("/long", axum::routing::get(async move || long))
        .route("/", axum::routing::get(async || "short"));
    let limits = Limits {
        connections_max: 1,
        ..limits
    };
    let serving = serve("test", socket, routes, limits, lifecycle.clone());
    let served = lifecycle.tracker().spawn(serving);
    (address, lifecycle, served)
}

#[tokio::test]
async fn a_reader_that_stands_still_loses_its_seat() {
    let (address, lifecycle, served) = long_answer(Limits {
        header_read: NEVER,
        keep_alive_idle: NEVER,
        write_stall: SOON,
        ..Limits::default()
    })
    .await;
    let mut still = TcpStream::connect(address).await.unwrap();
    still.write_all(&get("/long", &[])).await.unwrap();
    assert_eq!(still.read_u8().await.unwrap(), b'H');
    assert_eq!(ask(address, &get("/", &[])).await.body, "short");
    lifecycle.stop();
    assert_eq!(served.await.unwrap(), Drained::Whole);
}

#[tokio::test]
async fn a_slow_reader_who_goes_on_gets_everything() {
    let (address, lifecycle, served) = long_answer(Limits {
        header_read: Duration::from_millis(20),
        keep_alive_idle: Duration::from_millis(20),
        ..Limits::default()
    })
    .await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&get("/long", &[])).await.unwrap();
    let mut chunk = [0; 4096];
    let mut bytes = slow.read(&mut chunk).await.unwrap();
    // Longer than an idle connection may last, shorter than a writer waits.
    let pause = tokio::time::timeout(SOON, lifecycle.soft().cancelled()).await;
    assert!(pause.is_err());
    while let count @ 1.. = slow.read(&mut chunk).await.unwrap() {
        bytes += count;
        tokio::task::yield_now().await;
    }
    assert!(bytes > LONG, "cut off after {bytes} bytes");
    lifecycle.stop();
    assert_eq!(served.await.unwrap(), Drained::Whole);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_503() {
    let limits = Limits {
        request_total: SOON,
        ..Limits::default()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let standing = site.store.stand_still().await;
    let answer = site.deliver(b"{\"id\":\"slow\"}").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.problem(), "took_too_long");
    assert_eq!(answer.field("retry-after"), Some("10"));
    drop(standing);
    // It was queued, and nothing takes it back: its repetition is a duplicate or new, once.
    site.store
        .until(|store| store.deliveries().len() == 1)
        .await;
    assert_eq!(site.deliver(b"{\"id\":\"slow\"}").await.status, 200);
    assert_eq!(site.store.deliveries().len(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_unix_socket_serves_and_replaces_only_a_dead_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let socket = Socket::bind_unix(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(socket.address().is_none());
    let taken = Socket::bind_unix(&path).await.unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let site = Site::on(socket, nowhere, Limits::default(), IntakeLimits::default());
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let answers = say_on(&mut stream, &site.signed(b"{\"id\":\"evt_1\"}")).await;
    assert_eq!(answers[0].status, 200);
    assert_eq!(site.store.deliveries().len(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public.sock");
    std::fs::write(&path, b"mine").unwrap();
    assert!(Socket::bind_unix(&path).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

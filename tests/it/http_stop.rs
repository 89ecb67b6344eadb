//! Stopping: what is under way is answered, what is not is let go, within a limit.
//!
//! Knows the listener only by what it answers and how it ends.

use crate::support::site::Site;
use crate::support::talk::{NEVER, read_one, read_to_close};
use reconciled::http::intake::IntakeLimits;
use reconciled::http::listener::{Drained, Limits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn patient() -> Limits {
    Limits {
        header_read: NEVER,
        keep_alive_idle: NEVER,
        drain: NEVER,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_durable() {
    let site = Site::with(patient(), IntakeLimits::default()).await;
    let standing = site.store.stand_still().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = site.signed(b"{\"id\":\"evt_1\"}");
    stream.write_all(&request).await.unwrap();
    site.until_served().await;
    site.lifecycle.stop();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
    assert!(early.is_err(), "answered before it was durable");
    drop(standing);
    assert_eq!(read_one(&mut stream).await.status, 200);
    assert_eq!(site.store.deliveries().len(), 1);
    assert_eq!(site.close().await, Drained::Whole);
}

#[tokio::test]
async fn idle_and_silent_connections_do_not_hold_the_stop() {
    let site = Site::with(patient(), IntakeLimits::default()).await;
    let mut silent = TcpStream::connect(site.address).await.unwrap();
    let mut idle = TcpStream::connect(site.address).await.unwrap();
    let request = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.write_all(request).await.unwrap();
    assert_eq!(read_one(&mut idle).await.status, 404);
    site.lifecycle.stop();
    assert_eq!(read_to_close(&mut idle).await, []);
    assert_eq!(read_to_close(&mut silent).await, []);
    assert_eq!(site.close().await, Drained::Whole);
}

#[tokio::test]
async fn after_the_stop_nobody_is_let_in() {
    let site = Site::open().await;
    let address = site.address;
    site.assert_well().await;
    assert_eq!(site.close().await, Drained::Whole);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let limits = Limits {
        drain: Duration::from_millis(200),
        ..patient()
    };
    let site = Site::with(limits, IntakeLimits::default()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"POST /webhooks/plain_nl HT")
        .await
        .unwrap();
    // A connection that was answered was accepted after the one above.
    site.assert_well().await;
    assert_eq!(site.close().await, Drained::Cut { connections: 1 });
    assert_eq!(read_to_close(&mut stream).await, []);
}

#[tokio::test]
async fn the_hard_stop_does_not_wait_for_the_drain() {
    let site = Site::with(patient(), IntakeLimits::default()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"POST /webhooks/plain_nl HT")
        .await
        .unwrap();
    site.assert_well().await;
    site.lifecycle.abort();
    assert_eq!(read_to_close(&mut stream).await, []);
}

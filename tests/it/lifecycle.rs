//! Signals, the service manager's socket and its inherited sockets, in a process of their own.
//!
//! Each test starts this binary again with one test of the same name, which then plays the
//! daemon's part; environment and signals cannot be given to a part of a process.

use crate::support::talk::{AGES, NEVER};
use reconciled::lifecycle::{
    Ended, Inherited, Lifecycle, inherited_sockets, notify_ready, notify_reloading, notify_stopping,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MARK: &str = "RECONCILED_TEST_PLAYS_DAEMON";

fn plays_daemon() -> bool {
    std::env::vars().any(|(name, _)| name == MARK)
}

/// This binary again, for one test, by way of a shell line that may set up more.
fn daemon(test: &str, line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("{line} exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("lifecycle::{test}"), "--nocapture"])
        .env(MARK, "1");
    command
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Reads the child's lines until this one.
fn hear(lines: &mut impl BufRead, wanted: &str) {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.trim() == wanted {
            return;
        }
        line.clear();
    }
    panic!("the daemon ended without saying {wanted}");
}

fn say(line: &str) {
    // A line of its own, whatever the test harness wrote before.
    let mut out = std::io::stdout().lock();
    write!(out, "\n{line}\n").unwrap();
    out.flush().unwrap();
}

/// A daemon that is forgotten ends by itself.
async fn in_time(play: impl Future<Output = ()>) {
    tokio::time::timeout(AGES, play).await.unwrap();
}

async fn play_signals() {
    let lifecycle = Lifecycle::new();
    let mut reloads = lifecycle.watch_signals().unwrap();
    say("watching");
    for _ in 0..2 {
        reloads.next().await.unwrap();
        say("reload");
    }
    let hard = lifecycle.hard().clone();
    lifecycle
        .tracker()
        .spawn(async move { hard.cancelled().await });
    lifecycle.soft().cancelled().await;
    say("draining");
    let ended = lifecycle.finish(NEVER).await;
    assert_eq!(ended, Ended::Aborted { tasks_left: 0 });
    assert_eq!(reloads.next().await, None);
    say("aborted");
}

#[tokio::test]
async fn signals_reload_drain_and_abort() {
    if plays_daemon() {
        return in_time(play_signals()).await;
    }
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let mut child = daemon("signals_reload_drain_and_abort", "")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        hear(&mut lines, "watching");
        for _ in 0..2 {
            signal(&child, "HUP");
            hear(&mut lines, "reload");
        }
        signal(&child, first);
        hear(&mut lines, "draining");
        signal(&child, second);
        hear(&mut lines, "aborted");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
    }
}

async fn play_notified() {
    notify_ready("serving");
    notify_reloading();
    notify_ready("serving on");
    let lifecycle = Lifecycle::new();
    lifecycle.feed_watchdog(async || true);
    lifecycle.soft().cancelled().await;
}

#[tokio::test]
async fn the_service_manager_hears_ready_reload_and_a_beating_heart() {
    let name = "the_service_manager_hears_ready_reload_and_a_beating_heart";
    if plays_daemon() {
        return in_time(play_notified()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(AGES)).unwrap();
    let mut child = daemon(name, "")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "90000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut message = [0; 1024];
    let mut hear = || {
        let count = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..count].to_vec()).unwrap()
    };
    assert_eq!(hear(), "READY=1\nSTATUS=serving\n");
    let reloading = hear();
    let moment = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(moment.trim().parse::<u64>().unwrap() > 0);
    assert_eq!(hear(), "READY=1\nSTATUS=serving on\n");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1\n");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn without_a_service_manager_nothing_is_told_and_nothing_breaks() {
    if !plays_daemon() {
        let name = "without_a_service_manager_nothing_is_told_and_nothing_breaks";
        let line = "unset NOTIFY_SOCKET WATCHDOG_USEC LISTEN_FDS LISTEN_PID;";
        let status = daemon(name, line).stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
        return;
    }
    notify_ready("serving");
    notify_reloading();
    notify_stopping();
    assert!(inherited_sockets().unwrap().is_empty());
}

fn play_heir() {
    let mut sockets = inherited_sockets().unwrap();
    let Some(Inherited::Tcp(public)) = sockets.remove("public") else {
        panic!("no public socket: {sockets:?}");
    };
    let Some(Inherited::Unix(admin)) = sockets.remove("admin") else {
        panic!("no admin socket: {sockets:?}");
    };
    assert!(sockets.is_empty());
    assert!(std::env::vars().all(|(name, _)| name != "LISTEN_FDS"));
    public.accept().unwrap().0.write_all(b"public").unwrap();
    admin.accept().unwrap().0.write_all(b"admin").unwrap();
}

fn read_all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn inherited_sockets_are_known_by_their_names() {
    if plays_daemon() {
        return play_heir();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = UnixListener::bind(&path).unwrap();
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = public.local_addr().unwrap();
    let mut child = daemon(
        "inherited_sockets_are_known_by_their_names",
        "exec 3<&0 4<&1 0</dev/null 1>/dev/null; export LISTEN_PID=$$;",
    )
    .env("LISTEN_FDS", "2")
    .env("LISTEN_FDNAMES", "public:admin")
    .stdin(Stdio::from(OwnedFd::from(public)))
    .stdout(Stdio::from(OwnedFd::from(admin)))
    .spawn()
    .unwrap();
    let public = TcpStream::connect(address).unwrap();
    public.set_read_timeout(Some(AGES)).unwrap();
    assert_eq!(read_all(public), "public");
    let admin = UnixStream::connect(&path).unwrap();
    admin.set_read_timeout(Some(AGES)).unwrap();
    assert_eq!(read_all(admin), "admin");
    assert!(child.wait().unwrap().success());
}

#[test]
fn odd_inheritances_are_refused() {
    if plays_daemon() {
        inherited_sockets().unwrap_err();
        return;
    }
    for (names, line) in [
        ("public", "exec 3</dev/null; export LISTEN_PID=$$;"),
        ("public:admin", "exec 3<&0; export LISTEN_PID=$$;"),
    ] {
        let public = TcpListener::bind("127.0.0.1:0").unwrap();
        let status = daemon("odd_inheritances_are_refused", line)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", names)
            .stdin(Stdio::from(OwnedFd::from(public)))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{names} {line}");
    }
}

#[tokio::test]
async fn after_the_end_the_signal_watch_ends_too() {
    let lifecycle = Lifecycle::new();
    let mut reloads = lifecycle.watch_signals().unwrap();
    lifecycle.stop();
    let ended = tokio::time::timeout(AGES, lifecycle.finish(Duration::from_secs(1))).await;
    assert_eq!(ended, Ok(Ended::Drained));
    assert_eq!(reloads.next().await, None);
}

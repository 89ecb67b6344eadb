//! The command line's client against a real listener, over TCP and over a unix socket.

use super::world::{Made, OPERATOR, VIEWER, World};
use clap::Parser;
use reconciled::cli::checkouts::{self, CheckoutsArgs};
use reconciled::cli::client::{Address, Client};
use reconciled::cli::status::{self, StatusArgs};
use reconciled::core::plan::RulingRefused;
use reconciled::desk::DeskError;
use reconciled::http::listener::Peer;
use secrecy::SecretString;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::task::TaskTracker;

#[derive(Parser)]
struct Checkouts {
    #[command(flatten)]
    args: CheckoutsArgs,
}

fn parsed(words: &[&str]) -> CheckoutsArgs {
    let words = ["checkouts"].iter().chain(words);
    Checkouts::try_parse_from(words).unwrap().args
}

fn token(text: &str) -> Option<SecretString> {
    Some(SecretString::from(text))
}

async fn over_tcp(world: World, token: Option<SecretString>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = world.start().router;
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    Client::new(address.parse().unwrap(), token)
}

async fn show(client: &Client, args: CheckoutsArgs) -> (u8, String) {
    let mut out = Vec::new();
    let code = checkouts::run(&args, client, &mut out).await.unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn status_is_read_over_tcp_and_red_ends_with_one() {
    let rows = [Made::held("ck_1")];
    let client = over_tcp(World::with_rows(rows), token(VIEWER)).await;
    for (json, words) in [
        (false, "RED  1 customer is out of pocket: 59.95 EUR"),
        (true, "{"),
    ] {
        let mut out = Vec::new();
        let code = status::run(&StatusArgs { json }, &client, &mut out)
            .await
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(code, 1, "{text}");
        assert!(text.starts_with(words), "{text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
    }
}

#[tokio::test]
async fn status_is_read_over_a_unix_socket_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let world = World {
        has_tokens: false,
        ..World::default()
    };
    let router = world.start().router.layer(axum::Extension(Peer::Unix));
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    let client = Client::new(Address::Unix(path), None);
    let mut out = Vec::new();
    let code = status::run(&StatusArgs { json: false }, &client, &mut out)
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("AMBER  Nobody is out of pocket."),
        "{text}"
    );
}

#[tokio::test]
async fn a_daemon_that_is_not_there_ends_with_69() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for address in [address, "unix:/nowhere/at/all.sock".to_owned()] {
        let client = Client::new(address.parse().unwrap(), None);
        let error = status::run(&StatusArgs { json: false }, &client, &mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 69);
        let words = format!("cannot reach the daemon at {address}: ");
        assert!(error.to_string().starts_with(&words), "{error}");
    }
}

#[tokio::test]
async fn checkouts_are_listed_and_shown() {
    let client = over_tcp(World::with_rows([Made::confirming("ck_1")]), token(VIEWER)).await;
    let (code, text) = show(&client, parsed(&["list", "--verdict", "confirming"])).await;
    assert_eq!(code, 0);
    assert!(
        text.contains("klompen 1000042  confirming  59.95 EUR"),
        "{text}"
    );
    let (code, text) = show(&client, parsed(&["list", "--verdict", "held"])).await;
    assert_eq!((code, text.as_str()), (0, "No checkout fits.\n"));
    let (code, text) = show(&client, parsed(&["list", "--limit", "900"])).await;
    assert_eq!(code, 64);
    assert!(
        text.contains("`limit` must be a whole number from 1 to 500"),
        "{text}"
    );
    let (code, text) = show(&client, parsed(&["--json", "list"])).await;
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &list["checkouts"][0]["id"]), (0, &"ck_1".into()));
    let (code, text) = show(&client, parsed(&["show", "ck_1"])).await;
    assert_eq!(code, 0);
    assert!(text.starts_with("ck_1  klompen, order 1000042\n"), "{text}");
    let (code, text) = show(&client, parsed(&["show", "ck 9/.."])).await;
    assert_eq!(code, 1);
    assert!(text.contains("(unknown_checkout)"), "{text}");
}

#[tokio::test]
async fn a_ruling_is_recorded_or_refused_with_the_guard_named() {
    let client = over_tcp(World::default(), token(OPERATOR)).await;
    let words = [
        "rule",
        "ck_1",
        "retry",
        "--note",
        "shop is back",
        "--if-version",
        "5",
    ];
    let (code, text) = show(&client, parsed(&words)).await;
    let recorded = "Recorded. ck_1 is now settled (confirmed_by_shop).\n";
    assert_eq!((code, text.as_str()), (0, recorded));
    let viewer = over_tcp(World::default(), token(VIEWER)).await;
    let (code, text) = show(&viewer, parsed(&words)).await;
    assert_eq!(code, 1);
    assert!(text.contains("(forbidden)"), "{text}");
    let strict = World {
        answer: Box::new(|| {
            Err(DeskError::Refused(RulingRefused {
                guard: "auto_refund_limit",
                detail: "above the limit".to_owned(),
                may_override: true,
            }))
        }),
        ..World::default()
    };
    let client = over_tcp(strict, token(OPERATOR)).await;
    let (code, text) = show(&client, parsed(&["rule", "ck_1", "refund", "--note", "x"])).await;
    assert_eq!(code, 1);
    assert!(text.contains("(ruling_refused): above the limit"), "{text}");
    assert!(
        text.contains("`--override auto_refund_limit` lets it pass."),
        "{text}"
    );
}

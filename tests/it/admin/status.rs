//! The first line, the colour, and the whole page in text, from rows made by hand.

use super::world::{Made, Stock, World, account, ago, eur, now, shop};
use crate::support::failing_store::at_once;
use reconciled::core::fact::BrakeCause;
use reconciled::core::plan::{ActionKind, Reason, Verdict};
use reconciled::core::policy::Mode;
use reconciled::core::time::{Span, Time};
use reconciled::http::health::PartReport;
use reconciled::http::status::concerns::Level;
use reconciled::http::status::report::{Report, Seen, SeenAccount, SeenShop};
use reconciled::http::status::text;
use reconciled::store::{Backlog, ShopRow, Store, SweepMark};
use std::collections::BTreeMap;

fn mark(swept_at: Option<Time>, last_error: Option<&str>) -> SweepMark {
    SweepMark {
        account: account(),
        listing: 0,
        mark: ago(0),
        swept_at,
        last_error: last_error.map(ToOwned::to_owned),
    }
}

fn seen(rows: impl IntoIterator<Item = Made>) -> Seen {
    let rows: Vec<_> = rows.into_iter().map(Made::row).collect();
    let stock = Stock {
        rows: rows.clone(),
        ..Stock::default()
    };
    Seen {
        overview: at_once(stock.into_store().inner().overview()),
        rows,
        backlog: Backlog::default(),
        marks: vec![mark(Some(ago(12)), None)],
        shops: vec![SeenShop {
            row: ShopRow {
                shop: shop(),
                epoch: None,
                brake: None,
            },
            name: "Klompenwinkel".to_owned(),
            mode: Mode::Full,
            wrong_mode: 0,
            unclaimed: Vec::new(),
        }],
        accounts: vec![SeenAccount {
            account: account(),
            shop: shop(),
            sweep_every: Span::from_minutes(5),
            listings: 1,
        }],
        parts: Vec::new(),
        unheard: Vec::new(),
        lookalikes: Vec::new(),
    }
}

fn first_line(seen: &Seen) -> (Level, String) {
    let report = Report::of(seen, now());
    (report.level, report.headline)
}

#[test]
fn the_first_line_says_whether_anyone_is_out_of_pocket() {
    let three = || {
        let mut older = Made::confirming("ck_2");
        older.in_suspense = Some(eur(5895));
        [Made::confirming("ck_1"), older, Made::fresh("ck_3", 90)]
    };
    for (what, rows, level, words) in [
        (
            "nothing at all",
            vec![],
            Level::Green,
            "Nobody is out of pocket. Last checked 12 s ago.",
        ),
        (
            "a payment on its ordinary way",
            vec![Made::fresh("ck_1", 4)],
            Level::Green,
            "Nobody is out of pocket. 1 payment is under way: 59.95 EUR, oldest 4 s. Last checked 12 s ago.",
        ),
        (
            "a payment of a minute ago",
            vec![Made::fresh("ck_1", 60)],
            Level::Amber,
            "1 customer is out of pocket: 59.95 EUR, oldest 60 s, next action due now.",
        ),
        (
            "three customers",
            three().into(),
            Level::Amber,
            "3 customers are out of pocket: 178.85 EUR, oldest 14 min, next action due now.",
        ),
        (
            "one waits for its third confirm",
            vec![Made::confirming("ck_1")],
            Level::Amber,
            "1 customer is out of pocket: 59.95 EUR, oldest 14 min, next action in 40 s.",
        ),
        (
            "one is held",
            vec![Made::held("ck_1")],
            Level::Red,
            "1 customer is out of pocket: 59.95 EUR, oldest 14 min, no action planned.",
        ),
        (
            "one is held since just now",
            vec![Made {
                wake_at: None,
                actions: Vec::new(),
                verdict: Verdict::Held,
                ..Made::fresh("ck_1", 4)
            }],
            Level::Red,
            "1 customer is out of pocket: 59.95 EUR, oldest 4 s, no action planned.",
        ),
    ] {
        assert_eq!(first_line(&seen(rows)), (level, words.to_owned()), "{what}");
    }
}

#[test]
fn a_young_verdict_over_old_money_is_not_young() {
    let mut made = Made::confirming("ck_1");
    made.since = now();
    let (level, words) = first_line(&seen([made]));
    assert_eq!(level, Level::Amber);
    assert!(words.contains("oldest 14 min"), "{words}");
}

#[test]
fn two_currencies_are_told_apart() {
    let yen = reconciled::core::money::Currency::parse("JPY").unwrap();
    let mut second = Made::confirming("ck_2");
    second.in_suspense = Some(reconciled::core::money::Money::new(1200, yen));
    let (_, words) = first_line(&seen([Made::confirming("ck_1"), second]));
    assert!(words.starts_with("2 customers are out of pocket: 59.95 EUR and 1200 JPY,"));
}

#[test]
fn more_than_can_be_read_is_counted_from_the_overview() {
    let mut seen = seen((1..=500).map(|n| Made::confirming(&format!("ck_{n}"))));
    seen.overview[0].count = 1_204;
    seen.overview[0].in_suspense = vec![eur(7_217_980)];
    let (_, words) = first_line(&seen);
    assert!(
        words.starts_with("1204 customers are out of pocket: 72179.80 EUR, oldest 14 min"),
        "{words}"
    );
}

type Trouble = (&'static str, Seen, Level, &'static str);

/// A quiet house but for one thing.
fn with(change: impl Fn(&mut Seen)) -> Seen {
    let mut seen = seen([]);
    change(&mut seen);
    seen
}

fn part(state: &'static str, detail: &str) -> PartReport {
    PartReport {
        name: "store",
        state,
        detail: Some(detail.to_owned()),
    }
}

fn troubles_of_shops_and_parts() -> Vec<Trouble> {
    vec![
        (
            "brake",
            with(|seen| seen.shops[0].row.brake = Some((BrakeCause::RefundCount, ago(840)))),
            Level::Red,
            "klompen: refunds are held back since 14 min: more refunds in an hour than max_refunds_per_hour.",
        ),
        (
            "not ready",
            with(|seen| seen.parts = vec![part("failing", "disk full")]),
            Level::Red,
            "store is failing: disk full.",
        ),
        (
            "a warning",
            with(|seen| seen.parts = vec![part("warning", "900 MiB free")]),
            Level::Amber,
            "store is warning: 900 MiB free.",
        ),
        (
            "parked",
            with(|seen| seen.backlog.deliveries_parked = 2),
            Level::Amber,
            "2 deliveries are parked: verified, but they could not be taken.",
        ),
    ]
}

fn troubles_of_work_and_sweeps() -> Vec<Trouble> {
    vec![
        (
            "slow engine",
            with(|seen| {
                seen.backlog.deliveries_pending = 7;
                seen.backlog.oldest_delivery = Some(ago(90));
            }),
            Level::Amber,
            "Deliveries that wait for the engine: 7, the oldest for 90 s.",
        ),
        (
            "stuck dispatcher",
            with(|seen| seen.backlog.oldest_due = Some(ago(840))),
            Level::Red,
            "An action has been due for 14 min and was not carried out.",
        ),
        (
            "sweep error",
            with(|seen| seen.marks = vec![mark(Some(ago(720)), Some("status_502"))]),
            Level::Amber,
            "stripe_nl: the latest sweep was stopped: status_502; last swept whole 12 min ago.",
        ),
        (
            "late sweep",
            with(|seen| seen.marks = vec![mark(Some(ago(1_000)), None)]),
            Level::Amber,
            "stripe_nl: last swept whole 16 min ago.",
        ),
        (
            "blind",
            with(|seen| seen.marks = vec![mark(Some(ago(7_300)), None)]),
            Level::Red,
            "stripe_nl: last swept whole 2 h ago.",
        ),
        (
            "never swept",
            with(|seen| seen.marks.clear()),
            Level::Amber,
            "stripe_nl: never swept whole.",
        ),
        (
            "swept by half",
            with(|seen| {
                seen.accounts.iter_mut().for_each(|one| one.listings = 2);
            }),
            Level::Amber,
            "stripe_nl: never swept whole.",
        ),
        (
            "no account",
            with(|seen| seen.accounts.clear()),
            Level::Amber,
            "No PSP account is configured, so nothing is watched.",
        ),
    ]
}

#[test]
fn each_trouble_has_its_colour_and_its_sentence() {
    let both = [troubles_of_shops_and_parts(), troubles_of_work_and_sweeps()];
    for (what, seen, level, words) in both.into_iter().flatten() {
        let report = Report::of(&seen, now());
        assert_eq!(report.level, level, "{what}");
        let told: Vec<&str> = report
            .concerns
            .iter()
            .map(|told| told.text.as_str())
            .collect();
        assert_eq!(told, [words], "{what}");
    }
}

#[test]
fn quarantine_and_ordinary_waiting_alone_stay_green() {
    let mut seen = seen([Made::settled("ck_1")]);
    seen.rows.clear();
    seen.backlog.quarantined = 40;
    seen.backlog.deliveries_pending = 3;
    seen.backlog.oldest_delivery = Some(ago(1));
    seen.backlog.oldest_due = Some(now().plus(Span::from_seconds(5)));
    seen.marks = vec![mark(Some(ago(900)), None)];
    assert_eq!(first_line(&seen).0, Level::Green);
}

#[test]
fn a_sweep_is_late_by_its_own_interval() {
    let mut rare = seen([]);
    rare.accounts[0].sweep_every = Span::from_hours(6);
    rare.marks = vec![mark(Some(ago(7_300)), Some("status_502"))];
    assert_eq!(first_line(&rare).0, Level::Amber);
    rare.marks = vec![mark(Some(ago(7_300)), None)];
    assert_eq!(first_line(&rare).0, Level::Green);
}

#[test]
fn a_silent_shop_and_a_stranded_checkout_are_named() {
    let mut silent = Made::confirming("ck_1");
    silent.reason = Reason::ShopUnreachable;
    let mut stranded = Made::confirming("ck_2");
    stranded.actions.clear();
    stranded.wake_at = None;
    let report = Report::of(&seen([silent, stranded]), now());
    let told: Vec<&str> = report
        .concerns
        .iter()
        .map(|told| told.text.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "klompen does not answer; 1 customer waits for it.",
            "Checkouts with money and without a next step, which must not be: 1.",
        ]
    );
    assert_eq!(report.level, Level::Red);
}

#[test]
fn a_checkout_set_aside_for_a_breach_is_red_and_named_for_what_it_is() {
    let mut breached = Made::confirming("ck_1");
    breached.verdict = Verdict::Held;
    breached.reason = Reason::InvariantBreach;
    let report = Report::of(&seen([breached]), now());
    let found = report.concerns.iter().find(|one| {
        one.text
            .contains("1 checkout is set aside, because what was decided would have broken")
    });
    let found = found.unwrap_or_else(|| panic!("{:?}", report.concerns));
    assert_eq!((found.level, report.level), (Level::Red, Level::Red));
    assert!(
        found
            .link
            .as_deref()
            .is_some_and(|link| link.contains("verdict=held"))
    );
}

#[test]
fn a_shop_that_left_the_configuration_is_still_shown() {
    let mut seen = seen([Made::held("ck_1")]);
    seen.shops.clear();
    let report = Report::of(&seen, now());
    assert_eq!(report.shops[0].shop, "klompen");
    assert_eq!(report.shops[0].mode, None);
    assert!(text::render(&report).contains("klompen, not configured any more"));
}

const TROUBLE: &str = "\
RED  2 customers are out of pocket: 119.90 EUR, oldest 14 min, next action in 40 s.
  !! klompen: 1 held checkout with 59.95 EUR waits for an operator.

Shops
  klompen (Klompenwinkel), mode full
    confirming       1  59.95 EUR in suspense  oldest 10 min
    settled          1
    held             1  59.95 EUR in suspense  oldest 10 min

PSP accounts
  stripe_nl for klompen: swept whole 12 s ago

Waiting
  deliveries       0
  actions          1  earliest in 40 s
  parked           0
  quarantine       0

Longest without an end
  14 min  klompen 1000042  confirming  59.95 EUR
          A confirm got no clear answer; the shop is asked how the order stands. Confirm in 40 s (attempt 3, the last one ended: timeout).
          /api/v1/checkouts/ck_1
  14 min  klompen 1000043  held  59.95 EUR
          Held: less was paid than the order's amount. Nothing happens until an operator decides.
          /api/v1/checkouts/ck_2

As of 2026-11-21T10:00:00Z
";

#[test]
fn trouble_reads_like_this_in_a_terminal() {
    let mut seen = seen([
        Made::confirming("ck_1"),
        Made::held("ck_2"),
        Made::settled("ck_3"),
    ]);
    seen.rows.pop();
    seen.backlog.actions = BTreeMap::from([(ActionKind::Confirm, 1)]);
    seen.backlog.oldest_due = Some(now().plus(Span::from_seconds(40)));
    let report = Report::of(&seen, now());
    assert_eq!(text::render(&report), TROUBLE);
}

const EMPTY: &str = "\
GREEN  Nobody is out of pocket. Last checked 12 s ago.

Shops
  klompen (Klompenwinkel), mode full
    no checkout yet

PSP accounts
  stripe_nl for klompen: swept whole 12 s ago

Waiting
  deliveries       0
  actions          0
  parked           0
  quarantine       0

Longest without an end
  none

As of 2026-11-21T10:00:00Z
";

#[test]
fn an_empty_house_says_so() {
    let report = Report::of(&seen([]), now());
    assert_eq!(text::render(&report), EMPTY);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_makes_a_red_page_and_no_bare_error() {
    let mut world = World::default();
    world.stock.is_down = true;
    let running = world.start();
    let answer = running.get("/status?format=text", "*/*").await;
    assert_eq!(answer.status, 503);
    let first = answer.body.lines().next().unwrap();
    assert_eq!(
        first,
        "RED  The store cannot be read, so nobody knows whether anyone is out of pocket."
    );
    assert!(answer.body.contains("store unavailable: disk full"));
}

#[tokio::test]
async fn the_page_is_computed_from_the_store_at_each_request() {
    let mut world = World::with_rows([Made::held("ck_1"), Made::settled("ck_2")]);
    world.stock.brake = Some((BrakeCause::UnknownRunaway, ago(60)));
    let page = world
        .start()
        .get("/status", "application/json")
        .await
        .json();
    assert_eq!(page["level"], "red");
    assert_eq!(page["out_of_pocket"]["checkouts"], 1);
    assert_eq!(page["out_of_pocket"]["in_suspense"][0]["value"], "59.95");
    assert_eq!(page["out_of_pocket"]["oldest"], "2026-11-21T09:46:00Z");
    assert_eq!(
        page["shops"][0]["verdicts"][0]["link"],
        "/api/v1/checkouts?shop=klompen&verdict=settled"
    );
    let held = &page["troubles"][0];
    assert_eq!(
        (&held["id"], &held["verdict"]),
        (&"ck_1".into(), &Verdict::Held.code().into())
    );
}

#[tokio::test]
async fn a_damaged_checkout_hides_no_other_and_is_named() {
    let mut world = World::with_rows([Made::confirming("ck_1"), Made::confirming("ck_2")]);
    world.stock.rows[0].row.document = "{".to_owned();
    let running = world.start();
    let page = running.get("/status", "application/json").await.json();
    assert_eq!(page["level"], "red");
    assert_eq!(page["out_of_pocket"]["checkouts"], 2);
    let first = page["concerns"][0]["text"].as_str().unwrap();
    assert_eq!(
        first,
        "The stored document of checkout ck_1 cannot be read."
    );
    let list = running.get("/api/v1/checkouts", "*/*").await.json();
    assert_eq!(list["checkouts"][0]["damaged"], true);
    assert_eq!(list["checkouts"][0]["safe_to_retry"], false);
    assert_eq!(list["checkouts"][1].get("damaged"), None);
    let one = running.get("/api/v1/checkouts/ck_1", "*/*").await;
    assert_eq!(one.status, 200);
    assert_eq!(one.json()["damaged"], true);
}
